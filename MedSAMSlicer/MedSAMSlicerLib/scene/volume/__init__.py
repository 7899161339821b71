"""Volume nodes as stacks of slices: geometry, planes, intensity windows."""
