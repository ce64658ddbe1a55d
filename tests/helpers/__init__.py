"""Code that many tests share.

view.py       a media file as any player sees it
spliced.py    films that change in mid-stream, containers with more information than their packets
sameness.py   assertions with a built-in tolerance
command.py    the command line in a separate process
patches.py    colours with known sample values, and the visible difference of two colours
inline.py     a whole job in this process, without child processes
ray_processes.py  what Ray leaves on a machine
bad_sector.py a file that can't be read to its end
hosts.py      real hosts: network namespaces
"""
