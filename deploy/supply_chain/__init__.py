"""What Tocsin is made of: the licences and the known vulnerabilities of its dependencies."""
