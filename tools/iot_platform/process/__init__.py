"""The platform as something that runs: all parts put together, its thread, its command line."""
