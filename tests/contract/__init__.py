"""The contract as files in docs/contracts: written from the models, and compared with them and with
what was released.

`python -m tests.contract.generate` writes what follows from the code. It never touches a sample or
a released schema.
"""
