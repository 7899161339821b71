"""Volume nodes as stacks of slices: geometry, planes and intensity windows."""
