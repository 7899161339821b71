"""The sections of the module's panel, one file each."""
