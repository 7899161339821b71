"""How well a model does on cases with truth: what a department needs to commission the tool on its own patients."""
