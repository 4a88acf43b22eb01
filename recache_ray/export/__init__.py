"""Schedules in the formats of the servers that run them; every exporter is a pure function of a schedule table.

Standard library only, so that a serving process can export without torch.
"""
