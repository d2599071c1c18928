"""The servers: bytes into requests, results into bytes. They speak protocols and reach the rest through flow alone."""
