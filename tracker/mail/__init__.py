"""Mail: what a digest says, and the transports by which it leaves."""
