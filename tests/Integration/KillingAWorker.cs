using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Integration;

/// <summary>A worker of any role is killed in the middle of a run and started again: the run completes, and nothing exists twice.</summary>
public sealed class KillingAWorker(RunningStack running)
{
    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData(WorkerRole.Control)]
    [InlineData(WorkerRole.Compute)]
    [InlineData(WorkerRole.Volume)]
    [InlineData(WorkerRole.Guard)]
    public async Task The_run_goes_on_thaws_the_guest_and_makes_each_snapshot_once(WorkerRole role)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var server = await running.ServerAsync();
        await running.DelayCutsAsync(TimeSpan.FromSeconds(1));
        var image = await running.Tenant.CreateImageAsync(server.Id, $"killed-{role}", ct);
        await running.Tenant.WaitForRunAsync(image, "between freeze and thaw", run => run.Did("Quiesce") && !run.Began("Unquiesce"), RunDeadline, ct);

        await running.Stack.KillWorkerAsync(role, ct);
        await running.Stack.StartWorkerAsync(role, ct);

        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, ct);
        await running.NoFaultsAsync();
        Assert.Equal("completed", run.Status);
        Assert.Equal("active", await running.Tenant.ImageStatusAsync(image, ct));
        Assert.Equal("thawed", (await server.ReadJournalAsync(ct))[^1]);
        var expected = server.Volumes.Select(v => v.ToString()).Order().ToList();
        Assert.Equal(expected, (await running.Stack.Storage.SnapshotsAsync(ct)).Where(s => server.Volumes.Contains(s.Volume)).Select(s => s.Volume.ToString()).Order());
        Assert.Equal(expected, (await running.Tenant.ListSnapshotsAsync(Tokens.TenantProject, ct)).Select(s => s.Volume).Where(expected.Contains).Order());
        await running.Stack.WaitForWorkersAsync(ct);
    }
}
