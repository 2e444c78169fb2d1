using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.Drivers.Rbd;

/// <summary>A handle that must be given back before the one it was made from: it holds on to that one.</summary>
internal abstract class CephHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    private CephHandle? parent;

    protected CephHandle()
        : base(ownsHandle: true)
    {
    }

    /// <summary>How many handles of all kinds are open in this process.</summary>
    public static int Open => Volatile.Read(ref open);

    private static int open;

    /// <summary>Must be called once, right after the handle was made.</summary>
    public void MadeFrom(CephHandle? made)
    {
        Interlocked.Increment(ref open);
        if (made is not null)
        {
            var held = false;
            made.DangerousAddRef(ref held);
            parent = made;
        }
    }

    protected abstract void Release(nint native);

    protected sealed override bool ReleaseHandle()
    {
        Release(handle);
        Interlocked.Decrement(ref open);
        parent?.DangerousRelease();
        return true;
    }
}

/// <summary>A connection to a cluster.</summary>
internal sealed class RadosHandle : CephHandle
{
    protected override void Release(nint native) => Librados.rados_shutdown(native);
}

/// <summary>A pool, or a namespace in it, of a connected cluster.</summary>
internal sealed class RadosPoolHandle : CephHandle
{
    protected override void Release(nint native) => Librados.rados_ioctx_destroy(native);
}

/// <summary>An open image.</summary>
internal sealed class RbdImageHandle : CephHandle
{
    protected override void Release(nint native) => _ = Librbd.rbd_close(native);
}
