"""The command ``medsam-slicer``: one file for each subcommand."""
