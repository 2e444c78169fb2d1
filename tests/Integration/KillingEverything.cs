using System.Net;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary>Every process at once is killed in the middle of a run, the embedded Temporal and PostgreSQL among them; then <c>up</c> starts them again.</summary>
public sealed class KillingEverything : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private readonly StackProgram program = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string FaultFile => Path.Combine(program.State, "faults.json");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => program.DisposeAsync();

    [Fact]
    public async Task The_run_goes_on_where_it_was_and_makes_each_snapshot_once()
    {
        var before = await program.StartAsync("up");
        using var first = await TenantAsync(before);
        var server = await Wait.ForAsync("the server to be registered", Deadline, token => FirstServerAsync(first, token), Ct);
        await File.WriteAllTextAsync(FaultFile, FaultRule.Write([new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = TimeSpan.FromSeconds(3) }]), Ct);
        // A volume that nobody serves for longer than the freeze deadline ends the run; starting everything again may take that long on a busy machine.
        var accepted = await first.PostAsync("/runs", new { server_id = server, name = "outlives everything", freeze_deadline = 60 }, Ct);
        var image = accepted.Expect(HttpStatusCode.Accepted).Body.GetProperty("image_id").GetString()!;
        await first.WaitForRunAsync(image, "between freeze and thaw", run => run.Did("Quiesce") && !run.Began("Unquiesce"), Deadline, Ct);

        await StackProgram.SignalAsync(before, "KILL");
        await StackProgram.WaitForEndAsync(before);
        File.Delete(FaultFile);
        var after = await program.StartAsync("up");
        using var second = await TenantAsync(after);

        var run = await second.WaitForEndAsync(image, Deadline, Ct);
        Assert.True(run.Status == "completed", $"{run.Status}: {run.Reason?.Message}");
        // The guest was killed with everything else, so the freeze did not last: the image must not claim what it cannot know.
        Assert.NotEqual("application", run.Evidence!.Consistency);
        Assert.Equal(3, run.Evidence.Cuts.Select(c => c.VolumeId).Distinct().Count());
        Assert.Equal(
            run.Evidence.Cuts.Select(c => c.SnapshotId).Order(),
            (await new StorageView(Path.Combine(program.State, "volumes")).SnapshotsAsync(Ct)).Select(s => s.Snapshot.ToString()).Order());
    }

    private async Task<TenantClient> TenantAsync(ChildProcess up)
    {
        var running = await program.WaitUntilUpAsync(up);
        var accounts = await Accounts.LoadOrCreateAsync(program.State, Ct);
        return new TenantClient(new Uri(running.Api), await Accounts.LogInAsync(new Uri(running.Api), accounts.Tenant, Ct));
    }

    private static async Task<string?> FirstServerAsync(TenantClient tenant, CancellationToken ct) =>
        (await tenant.GetAsync("/compute/v2.1/servers", ct)).Expect(HttpStatusCode.OK).Body.GetProperty("servers").EnumerateArray().Select(s => s.GetProperty("id").GetString()).FirstOrDefault();
}
