"""Model families, one file each. `catalogue` lists the models; `weights` finds and verifies their files."""
