"""What many tests share.

view.py       a media file as any player sees it
spliced.py    films that change on the way, and containers that say more than their packets
sameness.py   asserts that own their tolerance
command.py    the command line in a process of its own
patches.py    colours whose codes are known, and how far two look apart
inline.py     the whole job in this process, without child processes
ray_processes.py  what Ray leaves on a machine
bad_sector.py a file that can't be read to its end
hosts.py      hosts for real: network namespaces
"""
