using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Requests;
using SnapshotFlow.Tests.Faults.Run;
using SnapshotFlow.Tests.Faults.World;

namespace SnapshotFlow.Tests.Faults;

/// <summary>A stack on which something is made wrong.</summary>
public sealed class RunningWorld : IAsyncLifetime
{
    private const int Servers = 4;

    /// <summary>The processes.</summary>
    public FaultStack World { get; private set; } = null!;

    public async ValueTask InitializeAsync() => World = await FaultStack.StartAsync(Servers, CancellationToken.None);

    public ValueTask DisposeAsync() => World.DisposeAsync();
}

/// <summary>The invariants are not just said to hold: whatever is put out of order behind the product's back is found, and by the right one.</summary>
public sealed class FindingWhatIsWrong(RunningWorld running) : IClassFixture<RunningWorld>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private FaultStack World => running.World;

    [Fact]
    public async Task A_completed_run_that_was_tampered_with_is_found()
    {
        var run = await CompleteAsync();
        var image = ((ImageRequest)run.Request).Image.Value;
        var snapshot = DeterministicId.Snapshot(new(image), run.Server.Guest.Volumes[0]);
        var file = Path.Combine(World.Stack.VolumeRoot, "snapshots", Names.Snapshot(snapshot));
        var lease = Path.Combine(World.Stack.LeaseDirectory, "open", $"{run.Server.Guest.Id}.json");
        var agent = new GuestAgents(new QgaOptions(), TimeProvider.System).Open(run.Server.Guest.AgentAddress);
        Assert.Equal([], await JudgeAsync(run));

        await ExpectAsync("complete: 2 snapshots in the back end", () => Rename(file + ".json", file + ".away"), () => Rename(file + ".away", file + ".json"));
        await ExpectAsync("complete: files", () => Touch(file + ".partial"), () => Remove(file + ".partial"));
        await ExpectAsync("complete: rows", Sql($"UPDATE snapshots SET status = 'error' WHERE id = '{snapshot}'"), Sql($"UPDATE snapshots SET status = 'available' WHERE id = '{snapshot}'"));
        await ExpectAsync("complete: there are", Sql($"UPDATE images SET status = 'queued' WHERE id = '{image}'"), Sql($"UPDATE images SET status = 'active' WHERE id = '{image}'"));
        await ExpectAsync("complete: the image does not name", Sql($"UPDATE image_properties SET name = 'mapping' WHERE image_id = '{image}' AND name = 'block_device_mapping'"), Sql($"UPDATE image_properties SET name = 'block_device_mapping' WHERE image_id = '{image}' AND name = 'mapping'"));
        await ExpectAsync("nothing left: 3 snapshots", Sql($"UPDATE runs SET status = 'failed' WHERE image_id = '{image}'"), Sql($"UPDATE runs SET status = 'completed' WHERE image_id = '{image}'"));
        await ExpectAsync("quota: a reservation", Sql($"INSERT INTO quota_reservations VALUES ('{image}', '{run.Server.Project}', 'snapshots', 3, '2100-01-01')"), Sql($"DELETE FROM quota_reservations WHERE image_id = '{image}'"));
        await ExpectAsync("at rest: the server's task state", Sql($"UPDATE servers SET task_state = 'image_snapshot' WHERE id = '{run.Server.Guest.Id}'"), Sql($"UPDATE servers SET task_state = NULL WHERE id = '{run.Server.Guest.Id}'"));
        await ExpectAsync("isolated", Sql($"UPDATE images SET owner = '{run.Server.Project[..^1]}x' WHERE id = '{image}'"), Sql($"UPDATE images SET owner = '{run.Server.Project}' WHERE id = '{image}'"));
        await ExpectAsync("evidence", Sql($$"""UPDATE runs SET evidence = jsonb_set(evidence, '{Cuts,0,CutAt}', '"2020-01-01T00:00:00+00:00"') WHERE image_id = '{{image}}'"""), () => Task.CompletedTask);
        await ExpectAsync("at rest: the freeze lease", () => Touch(lease), () => Remove(lease));
        await ExpectAsync("at rest: the guest is frozen", () => agent.FreezeAsync(Ct), () => agent.ThawAsync(Ct));

        async Task ExpectAsync(string found, Func<Task> disturb, Func<Task> repair)
        {
            await disturb();
            var violations = await JudgeAsync(run);
            await repair();
            Assert.Contains(violations, v => v.StartsWith(found, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_freeze_that_went_over_its_deadline_is_found()
    {
        var run = await CompleteAsync();
        await File.AppendAllTextAsync(run.Server.Guest.Journal, Line("frozen", FreezeRecorder.Now) + Line("thawed", FreezeRecorder.Now + RunningCase.FreezeDeadline + Invariants.Grace + TimeSpan.FromMilliseconds(1)), Ct);

        Assert.Contains(await JudgeAsync(run), v => v.StartsWith("bounded freeze", StringComparison.Ordinal));

        static string Line(string name, TimeSpan at) => $$"""{"at":"2100-01-01T00:00:00+00:00","monotonic_ns":{{(long)(at.TotalSeconds * 1e9)}},"event":"{{name}}"}""" + "\n";
    }

    private async Task<RunningCase> CompleteAsync()
    {
        var run = new RunningCase(World, FaultCase.Parse("create/PrepareImage.before/twice"), World.Rent(), TimeSpan.Zero);
        await run.RunAsync(Ct);
        return run;
    }

    private async Task<IReadOnlyList<string>> JudgeAsync(RunningCase run) => (await new Invariants(World).JudgeAsync(run, TimeSpan.Zero, TimeSpan.Zero, Ct)).Violations;

    private Func<Task> Sql(string sql) => () => World.QueryAsync<int>(sql, null, Ct);

    private static Task Rename(string from, string to)
    {
        File.Move(from, to);
        return Task.CompletedTask;
    }

    private static Task Touch(string file) => File.WriteAllTextAsync(file, "", Ct);

    private static Task Remove(string file)
    {
        File.Delete(file);
        return Task.CompletedTask;
    }
}
