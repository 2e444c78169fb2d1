using System.Runtime.InteropServices;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>A snapshot of an image.</summary>
/// <param name="Id">The cluster's number for it: never used twice in a pool.</param>
/// <param name="SizeBytes">Size of the image at the cut.</param>
/// <param name="Name">Its name; in the namespace of groups one that the cluster made up.</param>
/// <param name="Namespace">0 ours and everybody's, 1 part of a group's snapshot, 2 trash: gone but for its clones.</param>
internal sealed record RbdSnapshot(ulong Id, long SizeBytes, string Name, int Namespace);

/// <summary>An open image.</summary>
internal sealed unsafe class RbdImage : IDisposable
{
    private readonly string name;

    private RbdImage(RbdImageHandle handle, string name)
    {
        Handle = handle;
        this.name = name;
    }

    public RbdImageHandle Handle { get; }

    public long SizeBytes
    {
        get
        {
            Check(Librbd.rbd_get_size(Handle, out var size), "rbd_get_size");
            return (long)size;
        }
    }

    /// <summary>Opens the image; null when there is none. Read-only, nobody else notices it.</summary>
    public static RbdImage? TryOpen(RadosPoolHandle pool, string name, bool readOnly)
    {
        var result = readOnly ? Librbd.rbd_open_read_only(pool, name, out var handle, null) : Librbd.rbd_open(pool, name, out handle, null);
        if (result == -RbdErrors.ENOENT)
        {
            return null;
        }

        RbdErrors.Check(result, "rbd_open", name);
        handle.MadeFrom(pool);
        return new(handle, name);
    }

    public void Dispose() => Handle.Dispose();

    /// <summary>All snapshots, in every namespace.</summary>
    public IReadOnlyList<RbdSnapshot> Snapshots()
    {
        for (var room = 64; ;)
        {
            var found = new Librbd.SnapInfo[room];
            fixed (Librbd.SnapInfo* first = found)
            {
                var count = Librbd.rbd_snap_list(Handle, first, &room);
                if (count == -RbdErrors.ERANGE)
                {
                    continue;
                }

                Check(count, "rbd_snap_list");
                try
                {
                    var list = new List<RbdSnapshot>(count);
                    for (var i = 0; i < count; i++)
                    {
                        var result = Librbd.rbd_snap_get_namespace_type(Handle, found[i].Id, out var type);
                        // Somebody may have deleted it since it was listed.
                        if (result != -RbdErrors.ENOENT)
                        {
                            Check(result, "rbd_snap_get_namespace_type");
                            list.Add(new(found[i].Id, (long)found[i].Size, Text(found[i].Name), type));
                        }
                    }

                    return list;
                }
                finally
                {
                    if (count > 0)
                    {
                        Librbd.rbd_snap_list_end(first);
                    }
                }
            }
        }
    }

    /// <summary>The snapshot of this name that anybody can make and name.</summary>
    public RbdSnapshot? Snapshot(string snapshot) => Snapshots().FirstOrDefault(s => s.Namespace == Librbd.UserNamespace && s.Name == snapshot);

    /// <summary>This image's part of the snapshot of a group.</summary>
    public RbdSnapshot? SnapshotOfGroup(string group) => Snapshots().FirstOrDefault(s => s.Namespace == Librbd.GroupNamespace && GroupOf(s.Id) == group);

    /// <summary>Cuts a snapshot; false when there is one of that name.</summary>
    public bool Cut(string snapshot)
    {
        var result = Librbd.rbd_snap_create(Handle, snapshot);
        return result != -RbdErrors.EEXIST && Check(result, "rbd_snap_create") >= 0;
    }

    /// <summary>Protects a snapshot, which may be protected already.</summary>
    public void Protect(string snapshot)
    {
        var result = Librbd.rbd_snap_protect(Handle, snapshot);
        if (result != -RbdErrors.EBUSY)
        {
            Check(result, "rbd_snap_protect");
        }
    }

    public bool IsProtected(string snapshot)
    {
        Check(Librbd.rbd_snap_is_protected(Handle, snapshot, out var isProtected), "rbd_snap_is_protected");
        return isProtected != 0;
    }

    /// <summary>Removes a snapshot that may be protected, and may be gone.</summary>
    public void Remove(RbdSnapshot snapshot)
    {
        if (!TryRemove(snapshot))
        {
            Check(-RbdErrors.EBUSY, "rbd_snap_remove");
        }
    }

    /// <summary>
    /// As <see cref="Remove"/>; false when the snapshot is protected as far as this handle knows. It may be wrong: while another client holds the image's lock, that one takes
    /// the protection away, and this handle may hear of it late.
    /// </summary>
    public bool TryRemove(RbdSnapshot snapshot)
    {
        if (snapshot.Namespace == Librbd.GroupNamespace)
        {
            Gone(Librbd.rbd_snap_remove_by_id(Handle, snapshot.Id), "rbd_snap_remove_by_id");
            return true;
        }

        // EINVAL: it was not protected.
        var unprotected = Librbd.rbd_snap_unprotect(Handle, snapshot.Name);
        if (unprotected != -RbdErrors.EINVAL)
        {
            Gone(unprotected, "rbd_snap_unprotect");
        }

        var removed = Librbd.rbd_snap_remove(Handle, snapshot.Name);
        if (removed == -RbdErrors.EBUSY)
        {
            return false;
        }

        Gone(removed, "rbd_snap_remove");
        return true;
    }

    /// <summary>When the cluster says that a snapshot was cut.</summary>
    public DateTimeOffset CutAt(RbdSnapshot snapshot)
    {
        Check(Librbd.rbd_snap_get_timestamp(Handle, snapshot.Id, out var at), "rbd_snap_get_timestamp");
        return DateTimeOffset.FromUnixTimeSeconds(at.Seconds).AddTicks(at.Nanoseconds / 100);
    }

    /// <summary>The images that need blocks of a snapshot; none when it is gone. From here on reads of this open image see the snapshot.</summary>
    public IReadOnlyList<string> Children(RbdSnapshot snapshot)
    {
        var seen = Librbd.rbd_snap_set_by_id(Handle, snapshot.Id);
        if (seen == -RbdErrors.ENOENT)
        {
            return [];
        }

        Check(seen, "rbd_snap_set_by_id");
        for (nuint room = 16; ;)
        {
            var found = new Librbd.LinkedImageSpec[room];
            fixed (Librbd.LinkedImageSpec* first = found)
            {
                var result = Librbd.rbd_list_children3(Handle, first, &room);
                if (result == -RbdErrors.ERANGE)
                {
                    continue;
                }

                Check(result, "rbd_list_children3");
                var names = new List<string>();
                for (nuint i = 0; i < room; i++)
                {
                    names.Add(found[i].Trashed != 0 ? $"{Text(found[i].Name)} (in the trash)" : Text(found[i].Name));
                }

                Librbd.rbd_linked_image_spec_list_cleanup(first, room);
                names.Sort(StringComparer.Ordinal);
                return names;
            }
        }
    }

    /// <summary>From here on reads of this open image see the snapshot.</summary>
    public void See(RbdSnapshot snapshot) => Check(Librbd.rbd_snap_set_by_id(Handle, snapshot.Id), "rbd_snap_set_by_id");

    public void Resize(long sizeBytes) => Check(Librbd.rbd_resize(Handle, (ulong)sizeBytes), "rbd_resize");

    /// <summary>The extents that may hold anything but zeros, in order.</summary>
    public IReadOnlyList<(long Offset, long Length)> Extents()
    {
        var extents = new List<(long, long)>();
        var state = GCHandle.Alloc(extents);
        try
        {
            Check(Librbd.rbd_diff_iterate2(Handle, null, 0, (ulong)SizeBytes, 1, 0, &Extent, (void*)GCHandle.ToIntPtr(state)), "rbd_diff_iterate2");
        }
        finally
        {
            state.Free();
        }

        return extents;
    }

    /// <summary>Reads exactly as many bytes.</summary>
    public void Read(long offset, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var read = (int)Librbd.rbd_read(Handle, (ulong)offset, (nuint)bytes.Length, bytes);
            if (Check(read, "rbd_read") == 0)
            {
                throw new RbdException(RbdErrors.EIO, "rbd_read", name);
            }

            offset += read;
            bytes = bytes[read..];
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes) => Check((int)Librbd.rbd_write(Handle, (ulong)offset, (nuint)bytes.Length, bytes), "rbd_write");

    public void Flush() => Check(Librbd.rbd_flush(Handle), "rbd_flush");

    /// <summary>The group that the image is in; null when it is in none.</summary>
    public string? Group()
    {
        Librbd.GroupInfo info;
        Check(Librbd.rbd_get_group(Handle, &info, (nuint)sizeof(Librbd.GroupInfo)), "rbd_get_group");
        var group = Text(info.Name);
        Librbd.rbd_group_info_cleanup(&info, (nuint)sizeof(Librbd.GroupInfo));
        return group.Length > 0 ? group : null;
    }

    public void Flatten(IProgress<DriverProgress>? progress) =>
        RbdProgress.Run(progress, (callback, state) => Check(Librbd.rbd_flatten_with_progress(Handle, callback, state), "rbd_flatten"));

    public void RevertTo(string snapshot, IProgress<DriverProgress>? progress) =>
        RbdProgress.Run(progress, (callback, state) => Check(Librbd.rbd_snap_rollback_with_progress(Handle, snapshot, callback, state), "rbd_snap_rollback"));

    /// <summary>The text at an address that the library owns.</summary>
    public static string Text(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>The group that a snapshot was cut with; null when the snapshot is gone.</summary>
    private string? GroupOf(ulong snapshot)
    {
        Librbd.SnapGroupNamespace found;
        var result = Librbd.rbd_snap_get_group_namespace(Handle, snapshot, &found, (nuint)sizeof(Librbd.SnapGroupNamespace));
        if (result == -RbdErrors.ENOENT)
        {
            return null;
        }

        Check(result, "rbd_snap_get_group_namespace");
        var group = Text(found.Group);
        Librbd.rbd_snap_group_namespace_cleanup(&found, (nuint)sizeof(Librbd.SnapGroupNamespace));
        return group;
    }

    private void Gone(int result, string call)
    {
        if (result != -RbdErrors.ENOENT)
        {
            Check(result, call);
        }
    }

    private int Check(int result, string call) => RbdErrors.Check(result, call, name);

    [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    private static int Extent(ulong offset, nuint length, int exists, void* state)
    {
        if (exists != 0)
        {
            ((List<(long, long)>)GCHandle.FromIntPtr((nint)state).Target!).Add(((long)offset, (long)length));
        }

        return 0;
    }
}

/// <summary>Carries the library's progress to ours, a few times per second and never back.</summary>
internal static unsafe class RbdProgress
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);

    /// <summary>Something that takes a callback and its state.</summary>
    public delegate void Call(delegate* unmanaged[Cdecl]<ulong, ulong, void*, int> callback, void* state);

    /// <summary>Makes the call; what is reported reaches <paramref name="progress"/>.</summary>
    public static void Run(IProgress<DriverProgress>? progress, Call call)
    {
        var state = GCHandle.Alloc(new Reports(progress));
        try
        {
            call(&Report, (void*)GCHandle.ToIntPtr(state));
        }
        finally
        {
            state.Free();
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    private static int Report(ulong done, ulong total, void* state)
    {
        ((Reports)GCHandle.FromIntPtr((nint)state).Target!).Take((long)done, (long)total);
        return 0;
    }

    private sealed class Reports(IProgress<DriverProgress>? progress)
    {
        private readonly Lock gate = new();
        private long last = System.Diagnostics.Stopwatch.GetTimestamp();
        private long most = -1;

        public void Take(long done, long total)
        {
            lock (gate)
            {
                if (progress is not null && done > most && System.Diagnostics.Stopwatch.GetElapsedTime(last) >= Every)
                {
                    (most, last) = (done, System.Diagnostics.Stopwatch.GetTimestamp());
                    progress.Report(new(done, total));
                }
            }
        }
    }
}
