"""How fast the house is, as ratios to a limit of the same machine in the same minute.

figures.py   what is measured, against which limit, with which floor
house.py     servers of our own in a temporary folder, and a ledger of real data
http.py      the API in a process of its own, and its clients
results.py   figures as JSON lines, as a table, and against their floors
"""
