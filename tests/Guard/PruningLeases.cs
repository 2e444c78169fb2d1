using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Guard;

/// <summary>The lease directory of a host does not grow for ever.</summary>
public sealed class PruningLeases : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-leases-");

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public void Dispose() => directory.Delete(recursive: true);

    [Fact]
    public async Task Only_what_is_over_and_old_is_removed()
    {
        var ct = TestContext.Current.CancellationToken;
        var leases = new FreezeLeaseDirectory(directory.FullName);
        var clock = new LinuxHostClock(TimeProvider.System);
        var (open, ended, old) = (ServerId.New(), ServerId.New(), ServerId.New());
        foreach (var server in (ServerId[])[open, ended, old])
        {
            var lease = new FreezeLease(
                server, "run", "none", Now, Now, clock.Now, ProcessIdentity.Current, FreezePending: false, FrozenAt: null, End: null);
            await leases.UpdateAsync(server, (_, _) => lease, ct);
            if (server != open)
            {
                await leases.EndAsync(server, "run", new(LeaseEnder.Run, Now, WasFrozen: true, Expired: false, AgentError: null), ct);
            }
        }

        await File.WriteAllTextAsync(Path.Combine(directory.FullName, "open", "broken.json"), "{", ct);
        var aside = await leases.SetAsideAsync("broken.json", clock.Now, ct);
        Age(Path.Combine(directory.FullName, "open", $"{open}.json"));
        Age(Path.Combine(directory.FullName, "ended", $"{old}.json"));

        Assert.Equal(1, await leases.PruneAsync(Now.AddDays(-7), Now.AddDays(-90), ct));
        Assert.NotNull(leases.ReadOpen(open));
        Assert.NotNull(leases.ReadEnded(ended));
        Assert.Null(leases.ReadEnded(old));
        Assert.True(File.Exists(aside));

        Age(aside);
        Assert.Equal(1, await leases.PruneAsync(Now.AddDays(-7), Now.AddDays(-90), ct));
        Assert.False(File.Exists(aside));
    }

    private static void Age(string file) => File.SetLastWriteTimeUtc(file, Now.AddDays(-100).UtcDateTime);
}
