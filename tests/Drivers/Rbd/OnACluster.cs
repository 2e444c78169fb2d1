using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>A namespace of the cluster for each test, with a driver over it and one volume that begins with "live". Without a cluster the tests are skipped.</summary>
public abstract class OnACluster : IAsyncLifetime
{
    /// <summary>Bytes of a volume.</summary>
    protected const long Size = 8 << 20;

    /// <summary>The volume.</summary>
    private protected readonly VolumeId volume = VolumeId.New();

    /// <summary>For a snapshot of it, which the test cuts.</summary>
    private protected readonly SnapshotId snapshot = SnapshotId.New();

    private protected CephNamespace space = null!;
    private protected RbdVolumeDriver driver = null!;

    private protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        space = await CephNamespace.MakeAsync(Ct);
        driver = space.Open();
        await driver.CheckAsync(Ct);
        await driver.CreateVolumeAsync(volume, Size, Ct);
        space.Write(Names.Volume(volume), 0, "live"u8);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (space is not null)
        {
            await space.DisposeAsync();
        }
    }
}
