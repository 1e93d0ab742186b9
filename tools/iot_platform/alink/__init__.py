"""What the platform answers to messages: Alink requests, gateways and their sub-devices."""
