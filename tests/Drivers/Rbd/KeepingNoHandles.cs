using System.Globalization;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>Handles and files are counted for the whole process: nothing else may run meanwhile.</summary>
[CollectionDefinition(nameof(KeepingNoHandles), DisableParallelization = true)]
[Collection(nameof(KeepingNoHandles))]
public sealed class KeepingNoHandles : OnACluster
{
    private const int CallsOfARound = 20;

    /// <summary>How many calls; 10,000 unless the environment says otherwise.</summary>
    private static int Calls => int.TryParse(Environment.GetEnvironmentVariable("SNAPSHOTFLOW_TEST_CALLS"), CultureInfo.InvariantCulture, out var calls) ? calls : 10_000;

    [Fact]
    public async Task Thousands_of_calls_of_every_kind_sixteen_at_once_leave_no_handle_behind()
    {
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        var limited = new ConcurrencyLayer(driver, 16);
        var (stranger, before) = (VolumeId.New(), (Handles: CephHandle.Open, Files: Directory.GetFiles("/proc/self/fd").Length));
        var calls = 0;
        await Parallel.ForAsync(0, Calls / CallsOfARound, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Ct }, async (_, ct) =>
        {
            // What makes and removes things, once, and what only looks or is refused, all the more.
            var (own, clone) = (SnapshotId.New(), VolumeId.New());
            await CallAsync(() => limited.CreateSnapshotAsync(volume, own, null, ct));
            await CallAsync(() => limited.CreateVolumeFromSnapshotAsync(clone, volume, snapshot, Size, null, ct));
            for (var i = 0; i < 4; i++)
            {
                Assert.NotNull(await CallAsync(() => limited.FindSnapshotAsync(volume, own, ct)));
                Assert.NotNull(await CallAsync(() => limited.CreateSnapshotAsync(volume, own, null, ct)));
                Assert.NotEmpty((await CallAsync(() => limited.ListSnapshotsAsync(null, 10, ct))).Snapshots);
            }

            for (var i = 0; i < 2; i++)
            {
                await RefusedAsync(ErrorKind.Busy, () => limited.DeleteSnapshotAsync(volume, snapshot, ct));
                await RefusedAsync(ErrorKind.NotFound, () => limited.CreateSnapshotAsync(stranger, SnapshotId.New(), null, ct));
            }

            await DoAsync(() => limited.DeleteVolumeAsync(clone, ct));
            await DoAsync(() => limited.DeleteSnapshotAsync(volume, own, ct));
        });
        Assert.Equal(Calls / CallsOfARound * CallsOfARound, calls);
        Assert.Equal(before.Handles, CephHandle.Open);
        // Connections to the cluster's daemons may have come in the meantime; one file for every call would be thousands.
        Assert.InRange(Directory.GetFiles("/proc/self/fd").Length, 0, before.Files + 64);

        async Task<T> CallAsync<T>(Func<Task<T>> call)
        {
            Interlocked.Increment(ref calls);
            return await call();
        }

        Task DoAsync(Func<Task> call)
        {
            Interlocked.Increment(ref calls);
            return call();
        }

        async Task RefusedAsync(ErrorKind kind, Func<Task> call)
        {
            Interlocked.Increment(ref calls);
            Assert.Equal(kind, (await Assert.ThrowsAsync<SnapshotFlowException>(call)).Kind);
        }
    }
}
