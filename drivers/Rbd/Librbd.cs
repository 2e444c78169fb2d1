using System.Runtime.InteropServices;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>
/// The calls of <c>librbd.so.1</c> that the driver makes. Results below zero are negative error numbers. Source: Ceph's <c>rbd/librbd.h</c>; signatures checked
/// with librbd 1.16 (Ceph 16.2).
/// </summary>
internal static unsafe partial class Librbd
{
    public const string Library = "librbd.so.1";

    /// <summary>Source: <c>RBD_IMAGE_OPTION_CLONE_FORMAT</c>: 2 lets a snapshot be removed while clones need it; they keep what they need in the trash.</summary>
    public const int CloneFormat = 12;

    /// <summary>Source: <c>rbd_snap_namespace_type_t</c>.</summary>
    public const int UserNamespace = 0, GroupNamespace = 1;

    /// <summary>Source: <c>RBD_GROUP_SNAP_STATE_COMPLETE</c>.</summary>
    public const int GroupSnapshotComplete = 1;

    [LibraryImport(Library)]
    public static partial void rbd_version(out int major, out int minor, out int extra);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_namespace_exists(RadosPoolHandle io, string name, out byte exists);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_namespace_create(RadosPoolHandle io, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_namespace_remove(RadosPoolHandle io, string name);

    [LibraryImport(Library)]
    public static partial void rbd_image_options_create(out nint options);

    [LibraryImport(Library)]
    public static partial void rbd_image_options_destroy(nint options);

    [LibraryImport(Library)]
    public static partial int rbd_image_options_set_uint64(nint options, int option, ulong value);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_create4(RadosPoolHandle io, string name, ulong size, nint options);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_clone3(RadosPoolHandle parentIo, string parent, string snapshot, RadosPoolHandle io, string name, nint options);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_remove_with_progress(RadosPoolHandle io, string name, delegate* unmanaged[Cdecl]<ulong, ulong, void*, int> progress, void* state);

    [LibraryImport(Library)]
    public static partial int rbd_list2(RadosPoolHandle io, ImageSpec* images, nuint* count);

    [LibraryImport(Library)]
    public static partial void rbd_image_spec_list_cleanup(ImageSpec* images, nuint count);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_open(RadosPoolHandle io, string name, out RbdImageHandle image, string? snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_open_read_only(RadosPoolHandle io, string name, out RbdImageHandle image, string? snapshot);

    [LibraryImport(Library)]
    public static partial int rbd_close(nint image);

    [LibraryImport(Library)]
    public static partial int rbd_get_size(RbdImageHandle image, out ulong size);

    [LibraryImport(Library)]
    public static partial int rbd_resize(RbdImageHandle image, ulong size);

    [LibraryImport(Library)]
    public static partial nint rbd_read(RbdImageHandle image, ulong offset, nuint length, Span<byte> buffer);

    [LibraryImport(Library)]
    public static partial nint rbd_write(RbdImageHandle image, ulong offset, nuint length, ReadOnlySpan<byte> buffer);

    [LibraryImport(Library)]
    public static partial int rbd_flush(RbdImageHandle image);

    [LibraryImport(Library)]
    public static partial int rbd_flatten_with_progress(RbdImageHandle image, delegate* unmanaged[Cdecl]<ulong, ulong, void*, int> progress, void* state);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_diff_iterate2(
        RbdImageHandle image, string? from, ulong offset, ulong length, byte includeParent, byte wholeObject, delegate* unmanaged[Cdecl]<ulong, nuint, int, void*, int> extent, void* state);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_create(RbdImageHandle image, string snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_remove(RbdImageHandle image, string snapshot);

    [LibraryImport(Library)]
    public static partial int rbd_snap_remove_by_id(RbdImageHandle image, ulong id);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_protect(RbdImageHandle image, string snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_unprotect(RbdImageHandle image, string snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_is_protected(RbdImageHandle image, string snapshot, out int isProtected);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_snap_rollback_with_progress(RbdImageHandle image, string snapshot, delegate* unmanaged[Cdecl]<ulong, ulong, void*, int> progress, void* state);

    [LibraryImport(Library)]
    public static partial int rbd_snap_list(RbdImageHandle image, SnapInfo* snapshots, int* count);

    [LibraryImport(Library)]
    public static partial void rbd_snap_list_end(SnapInfo* snapshots);

    [LibraryImport(Library)]
    public static partial int rbd_snap_get_timestamp(RbdImageHandle image, ulong id, out Timespec timestamp);

    [LibraryImport(Library)]
    public static partial int rbd_snap_get_namespace_type(RbdImageHandle image, ulong id, out int type);

    [LibraryImport(Library)]
    public static partial int rbd_snap_get_group_namespace(RbdImageHandle image, ulong id, SnapGroupNamespace* found, nuint size);

    [LibraryImport(Library)]
    public static partial int rbd_snap_group_namespace_cleanup(SnapGroupNamespace* found, nuint size);

    [LibraryImport(Library)]
    public static partial int rbd_snap_set_by_id(RbdImageHandle image, ulong id);

    [LibraryImport(Library)]
    public static partial int rbd_list_children3(RbdImageHandle image, LinkedImageSpec* images, nuint* count);

    [LibraryImport(Library)]
    public static partial void rbd_linked_image_spec_list_cleanup(LinkedImageSpec* images, nuint count);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_create(RadosPoolHandle io, string group);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_remove(RadosPoolHandle io, string group);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_image_add(RadosPoolHandle groupIo, string group, RadosPoolHandle imageIo, string image);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_image_remove(RadosPoolHandle groupIo, string group, RadosPoolHandle imageIo, string image);

    [LibraryImport(Library)]
    public static partial int rbd_get_group(RbdImageHandle image, GroupInfo* group, nuint size);

    [LibraryImport(Library)]
    public static partial int rbd_group_info_cleanup(GroupInfo* group, nuint size);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_snap_create(RadosPoolHandle io, string group, string snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_snap_remove(RadosPoolHandle io, string group, string snapshot);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rbd_group_snap_list(RadosPoolHandle io, string group, GroupSnapInfo* snapshots, nuint size, nuint* count);

    [LibraryImport(Library)]
    public static partial int rbd_group_snap_list_cleanup(GroupSnapInfo* snapshots, nuint size, nuint count);

    [StructLayout(LayoutKind.Sequential)]
    internal struct ImageSpec
    {
        public byte* Id;
        public byte* Name;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct SnapInfo
    {
        public ulong Id;
        public ulong Size;
        public byte* Name;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct SnapGroupNamespace
    {
        public long Pool;
        public byte* Group;
        public byte* Snapshot;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct LinkedImageSpec
    {
        public long Pool;
        public byte* PoolName;
        public byte* Namespace;
        public byte* Id;
        public byte* Name;
        public byte Trashed;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct GroupInfo
    {
        public byte* Name;
        public long Pool;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct GroupSnapInfo
    {
        public byte* Name;
        public int State;
    }
}
