using System.Runtime.InteropServices;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>
/// The calls of <c>librados.so.2</c> that the driver makes. Results below zero are negative error numbers. Source: Ceph's <c>rados/librados.h</c>, stable since
/// the library's version 2; signatures checked with 16.2.
/// </summary>
internal static partial class Librados
{
    public const string Library = "librados.so.2";

    /// <summary>Source: <c>LIBRADOS_CMPXATTR_OP_EQ</c>.</summary>
    public const byte Equal = 1;

    /// <summary>Source: <c>LIBRADOS_LOCK_FLAG_MAY_RENEW</c>.</summary>
    public const byte MayRenew = 1;

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_create(out RadosHandle cluster, string id);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_conf_read_file(RadosHandle cluster, string path);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_conf_set(RadosHandle cluster, string option, string value);

    [LibraryImport(Library)]
    public static partial int rados_connect(RadosHandle cluster);

    [LibraryImport(Library)]
    public static partial void rados_shutdown(nint cluster);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_ioctx_create(RadosHandle cluster, string pool, out RadosPoolHandle io);

    [LibraryImport(Library)]
    public static partial void rados_ioctx_destroy(nint io);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void rados_ioctx_set_namespace(RadosPoolHandle io, string name);

    /// <summary>A full pool answers at once instead of holding calls back.</summary>
    [LibraryImport(Library)]
    public static partial void rados_set_pool_full_try(RadosPoolHandle io);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_write_full(RadosPoolHandle io, string name, ReadOnlySpan<byte> bytes, nuint length);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_read(RadosPoolHandle io, string name, Span<byte> bytes, nuint length, ulong offset);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_remove(RadosPoolHandle io, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_lock_exclusive(RadosPoolHandle io, string name, string @lock, string cookie, string description, in Timeval duration, byte flags);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_lock_shared(RadosPoolHandle io, string name, string @lock, string cookie, string tag, string description, in Timeval duration, byte flags);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_unlock(RadosPoolHandle io, string name, string @lock, string cookie);

    [LibraryImport(Library)]
    public static partial nint rados_create_write_op();

    [LibraryImport(Library)]
    public static partial void rados_release_write_op(nint operation);

    [LibraryImport(Library)]
    public static partial void rados_write_op_create(nint operation, int exclusive, nint category);

    [LibraryImport(Library)]
    public static unsafe partial void rados_write_op_omap_cmp(nint operation, byte* key, byte comparison, byte* value, nuint length, int* result);

    [LibraryImport(Library)]
    public static unsafe partial void rados_write_op_omap_set(nint operation, byte** keys, byte** values, nuint* lengths, nuint count);

    [LibraryImport(Library)]
    public static unsafe partial void rados_write_op_omap_rm_keys(nint operation, byte** keys, nuint count);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_write_op_operate(nint operation, RadosPoolHandle io, string name, nint time, int flags);

    [LibraryImport(Library)]
    public static partial nint rados_create_read_op();

    [LibraryImport(Library)]
    public static partial void rados_release_read_op(nint operation);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial void rados_read_op_omap_get_vals2(nint operation, string startAfter, string prefix, ulong most, out nint iterator, byte* more, int* result);

    [LibraryImport(Library)]
    public static unsafe partial void rados_read_op_omap_get_vals_by_keys(nint operation, byte** keys, nuint count, out nint iterator, int* result);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rados_read_op_operate(nint operation, RadosPoolHandle io, string name, int flags);

    [LibraryImport(Library)]
    public static unsafe partial int rados_omap_get_next(nint iterator, byte** key, byte** value, nuint* length);

    [LibraryImport(Library)]
    public static partial void rados_omap_get_end(nint iterator);

    /// <summary>Source: struct timeval on 64-bit machines.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly struct Timeval(TimeSpan span)
    {
        public readonly long Seconds = (long)span.TotalSeconds;
        public readonly long Microseconds = span.Microseconds + (span.Milliseconds * 1000L);
    }
}
