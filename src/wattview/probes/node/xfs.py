"""XFS: activity of each mounted filesystem, from /sys/fs/xfs/*/stats/stats.

Lines and columns: fs/xfs/xfs_stats.c and https://xfs.org/index.php/Runtime_Stats.
"""

from __future__ import annotations

from wattview.exposition import Family, counter, described, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import Directories, of_sysfs

# Line, then name and help of each exported column.
_TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "extent_alloc": described("""
extent_allocation_extents_allocated  Number of extents allocated for a filesystem.
extent_allocation_blocks_allocated  Number of blocks allocated for a filesystem.
extent_allocation_extents_freed  Number of extents freed for a filesystem.
extent_allocation_blocks_freed  Number of blocks freed for a filesystem.
"""),
    "abt": described("""
allocation_btree_lookups  Number of allocation B-tree lookups for a filesystem.
allocation_btree_compares  Number of allocation B-tree compares for a filesystem.
allocation_btree_records_inserted  Number of allocation B-tree records inserted for a filesystem.
allocation_btree_records_deleted  Number of allocation B-tree records deleted for a filesystem.
"""),
    "blk_map": described("""
block_mapping_reads  Number of block map for read operations for a filesystem.
block_mapping_writes  Number of block map for write operations for a filesystem.
block_mapping_unmaps  Number of block unmaps (deletes) for a filesystem.
block_mapping_extent_list_insertions  Number of extent list insertions for a filesystem.
block_mapping_extent_list_deletions  Number of extent list deletions for a filesystem.
block_mapping_extent_list_lookups  Number of extent list lookups for a filesystem.
block_mapping_extent_list_compares  Number of extent list compares for a filesystem.
"""),
    "bmbt": described("""
block_map_btree_lookups  Number of block map B-tree lookups for a filesystem.
block_map_btree_compares  Number of block map B-tree compares for a filesystem.
block_map_btree_records_inserted  Number of block map B-tree records inserted for a filesystem.
block_map_btree_records_deleted  Number of block map B-tree records deleted for a filesystem.
"""),
    "dir": described("""
directory_operation_lookup
    Number of file name directory lookups which miss the operating systems directory name lookup cache.
directory_operation_create  Number of times a new directory entry was created for a filesystem.
directory_operation_remove  Number of times an existing directory entry was created for a filesystem.
directory_operation_getdents  Number of times the directory getdents operation was performed for a filesystem.
"""),
    "ig": described("""
inode_operation_attempts  Number of times the OS looked for an XFS inode in the inode cache.
inode_operation_found  Number of times the OS looked for and found an XFS inode in the inode cache.
inode_operation_recycled
    Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.
inode_operation_missed  Number of times the OS looked for an XFS inode in the cache, but did not find it.
inode_operation_duplicates
    Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by
    another process.
inode_operation_reclaims
    Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.
inode_operation_attribute_changes  Number of times the OS explicitly changed the attributes of an XFS inode.
"""),
    "rw": described("""
write_calls  Number of write(2) system calls made to files in a filesystem.
read_calls  Number of read(2) system calls made to files in a filesystem.
"""),
    "vnodes": described("""
vnode_active  Number of vnodes not on free lists for a filesystem.
vnode_allocate  Number of times vn_alloc called for a filesystem.
vnode_get  Number of times vn_get called for a filesystem.
vnode_hold  Number of times vn_hold called for a filesystem.
vnode_release  Number of times vn_rele called for a filesystem.
vnode_reclaim  Number of times vn_reclaim called for a filesystem.
vnode_remove  Number of times vn_remove called for a filesystem.
"""),
}


# Its siblings are the sum of all filesystems and the settings.
@of_sysfs(Directories, "fs/xfs", "(?!(?:stats|debug)$).+")
def collector(directories: Directories) -> list[Family]:
    """``node_xfs_*{device}``; no samples if no such filesystem is mounted."""
    filesystems = directories.found_or_none()
    if not filesystems:
        return []
    families = {
        name: counter(f"node_xfs_{name}_total", help_text) for columns in _TABLE.values() for name, help_text in columns
    }
    for device, directory in filesystems.items():
        text = directory.text("stats/stats")
        if text is not None:
            for name, value in xfs_stats(text).items():
                families[name].add(value, labels(device=device))
    return list(families.values())


def xfs_stats(text: str) -> dict[str, int]:
    """The exported counters of one filesystem, by name."""

    def shown(line: str) -> dict[str, int] | None:
        key, *fields = line.split()
        columns = _TABLE.get(key)
        if columns is None:
            return None
        return {name: int(fields[column]) for column, (name, _) in enumerate(columns)}

    found: dict[str, int] = {}
    for values in understood([line for line in text.splitlines() if line.strip()], shown, "xfs stats"):
        found.update(values)
    return found
