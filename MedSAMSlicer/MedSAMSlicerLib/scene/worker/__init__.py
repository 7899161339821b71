"""Client side of the inference process: transports, requests and progress."""
