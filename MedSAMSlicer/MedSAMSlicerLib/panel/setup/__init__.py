"""Setup of the extension: packages, weights and sample data. Imports no Qt."""
