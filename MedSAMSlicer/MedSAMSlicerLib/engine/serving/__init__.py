"""The engine as a service, in this process or in one of its own."""
