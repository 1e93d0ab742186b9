"""The MQTT side: packets, who connects, sessions, the broker that routes between them."""
