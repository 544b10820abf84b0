"""How Tocsin is run: `deploy.local` is the whole stack on one machine."""
