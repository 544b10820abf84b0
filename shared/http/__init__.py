"""HTTP: applications, the server, and bounds on what untrusted callers send."""
