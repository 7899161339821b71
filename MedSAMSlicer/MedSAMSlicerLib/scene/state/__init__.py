"""What is known of one segment: prompts, options and the current result."""
