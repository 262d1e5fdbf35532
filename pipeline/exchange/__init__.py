"""Studies come from a DICOMweb server or a watched folder, and results are stored on a server.

`server` asks and answers, over `session`; `fetching` brings a study into a folder; `outbox` keeps
results until they are stored; `watching` segments what arrives in a folder.
"""
