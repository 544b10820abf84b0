"""SQL of incidents, their timelines, changes and requests. Set-wise, and all writers lock in the
same order.
"""
