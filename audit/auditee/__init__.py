"""Audit of the auditee: a result is run again, and a system under test that cheats is caught.

Each audit is two pure functions around runs that somebody else makes: `plan` names the runs it needs, `judge` reads
them. Clauses are sections of the MLPerf Inference Audit Guidelines, or of the Inference Rules where it says so.
"""
