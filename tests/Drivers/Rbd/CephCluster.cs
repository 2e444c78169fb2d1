using SnapshotFlow.Drivers.Rbd;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>The Ceph cluster that the environment names, if it names one. Each test works in an RBD namespace of its own, which it removes.</summary>
public static class CephCluster
{
    private const string Prefix = "SNAPSHOTFLOW_TEST_CEPH_";

    /// <summary>Why there is nothing to test against; null when there is.</summary>
    public static string? Missing { get; } = Value("CONF") is null
        ? $"no Ceph cluster is configured: ./snapshotflow test --real brings one up, or set {Prefix}CONF, {Prefix}POOL and {Prefix}USER"
        : null;

    /// <summary>How to reach it. The limits are far from anything that a slow machine needs: what they do is tested on a cluster that is made to hang.</summary>
    public static RbdOptions Options(string @namespace = "") => new()
    {
        Conf = Value("CONF") ?? "/etc/ceph/ceph.conf",
        Pool = Value("POOL") ?? "volumes",
        User = Value("USER") ?? "cinder",
        Keyring = Value("KEYRING"),
        Namespace = @namespace,
        ConnectTimeout = TimeSpan.FromMinutes(2),
        OperationTimeout = TimeSpan.FromMinutes(2),
        CallTimeout = TimeSpan.FromMinutes(10),
    };

    private static string? Value(string name) => Environment.GetEnvironmentVariable(Prefix + name) is { Length: > 0 } value ? value : null;
}

/// <summary>One namespace of the cluster, and a way into it that is not the driver.</summary>
internal sealed class CephNamespace : IAsyncDisposable
{
    private readonly RbdConnection whole = new(CephCluster.Options(), "Rbd");
    private readonly RbdConnection mine;
    private readonly List<RbdVolumeDriver> opened = [];

    private CephNamespace(string name)
    {
        Name = name;
        mine = new(CephCluster.Options(name), "Rbd");
    }

    public string Name { get; }

    public RadosPoolHandle Pool { get; private set; } = null!;

    /// <summary>Skips the running test when there is no cluster.</summary>
    public static async Task<CephNamespace> MakeAsync(CancellationToken ct)
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var made = new CephNamespace($"t{Guid.NewGuid():N}");
        RbdErrors.Check(Librbd.rbd_namespace_create(await made.whole.PoolAsync(ct), made.Name), "rbd_namespace_create", made.Name);
        made.Pool = await made.mine.PoolAsync(ct);
        return made;
    }

    /// <summary>A new driver over it, which ends with it.</summary>
    public RbdVolumeDriver Open()
    {
        opened.Add(new(CephCluster.Options(Name), TimeProvider.System));
        return opened[^1];
    }

    public void Write(string image, long offset, ReadOnlySpan<byte> bytes)
    {
        using var open = RbdImage.TryOpen(Pool, image, readOnly: false) ?? throw new InvalidOperationException($"there is no image {image}");
        open.Write(offset, bytes);
        open.Flush();
    }

    public byte[] Read(string image, long offset, int count)
    {
        using var open = RbdImage.TryOpen(Pool, image, readOnly: true) ?? throw new InvalidOperationException($"there is no image {image}");
        var bytes = new byte[count];
        open.Read(offset, bytes);
        return bytes;
    }

    /// <summary>The names of all images.</summary>
    public unsafe IReadOnlyList<string> Images()
    {
        var found = new Librbd.ImageSpec[4096];
        fixed (Librbd.ImageSpec* first = found)
        {
            var count = (nuint)found.Length;
            RbdErrors.Check(Librbd.rbd_list2(Pool, first, &count), "rbd_list2", Name);
            var names = Enumerable.Range(0, (int)count).Select(i => RbdImage.Text(found[i].Name)).ToList();
            Librbd.rbd_image_spec_list_cleanup(first, count);
            return names;
        }
    }

    public async ValueTask DisposeAsync()
    {
        opened.ForEach(d => d.Dispose());
        // Clones before what they were made from: as long as something goes, more can go.
        for (var left = int.MaxValue; Images() is { Count: > 0 } images && images.Count < left;)
        {
            left = images.Count;
            foreach (var image in images)
            {
                Remove(image);
            }
        }

        // The namespace keeps the small objects of the driver; they are no images.
        _ = Librbd.rbd_namespace_remove(await whole.PoolAsync(CancellationToken.None), Name);
        mine.Dispose();
        whole.Dispose();
    }

    private unsafe void Remove(string name)
    {
        using (var image = RbdImage.TryOpen(Pool, name, readOnly: false))
        {
            if (image?.Group() is { } group)
            {
                _ = Librbd.rbd_group_snap_remove(Pool, group, "cut");
                _ = Librbd.rbd_group_image_remove(Pool, group, Pool, name);
                _ = Librbd.rbd_group_remove(Pool, group);
            }

            foreach (var snapshot in image?.Snapshots().Where(s => s.Namespace < 2) ?? [])
            {
                _ = Librbd.rbd_snap_unprotect(image!.Handle, snapshot.Name);
                _ = Librbd.rbd_snap_remove_by_id(image.Handle, snapshot.Id);
            }
        }

        RbdProgress.Run(null, (callback, state) => _ = Librbd.rbd_remove_with_progress(Pool, name, callback, state));
    }
}
