using System.Text.Json;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary><c>snapshotflow-workers doctor</c>, on the running product.</summary>
public sealed class RunningTheDoctor(RunningStack running)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Everything_that_has_to_work_together_is_looked_at_and_where_it_does_nothing_is_an_error()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });
        var (code, found, text) = await LookAsync();

        // Runs of other tests may have left something on purpose, and this machine's disk may be nearly full: those are warnings.
        Assert.True(found.All(f => f.Severity is not "error"), text);
        Assert.Equal(found.Any(f => f.Severity is "warning") ? 1 : 0, code);
        foreach (var check in new[] { "database", "migrations", "temporal", "namespace", "search attributes", "pollers", "guards", "drivers", "clocks", "disk", "schedule", "records" })
        {
            Assert.Contains(found, f => f.Check == check);
        }

        Assert.Contains(found, f => f is { Check: "guards", Subject: "compute.node-1" });
        Assert.Contains(found, f => f is { Check: "drivers", Subject: "volume.node-1@file" });
        Assert.Equal(["Temporal", "compute.node-1", "the database", "volume.node-1@file"], found.Where(f => f.Check == "clocks").Select(f => f.Subject).Order(StringComparer.Ordinal));
        Assert.All(found.Where(f => f.Severity is "ok"), f => Assert.Null(f.Advice));
    }

    [Fact]
    public async Task A_dead_guard_and_a_dead_worker_are_errors_with_what_to_do()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });
        await running.Stack.KillWorkerAsync(WorkerRole.Guard, Ct);
        await running.Stack.KillWorkerAsync(WorkerRole.Volume, Ct);
        try
        {
            var (code, found, text) = (0, (IReadOnlyList<Found>)[], "");
            // The last sign of life of the dead guard may be a fresh one.
            await Wait.UntilAsync("the guard's sign of life to be old", TimeSpan.FromMinutes(1), async _ =>
            {
                (code, found, text) = await LookAsync();
                return found.Any(f => f is { Check: "guards", Severity: "error" });
            }, Ct);
            Assert.Equal(2, code);
            var guard = Assert.Single(found, f => f.Check == "guards");
            Assert.True(guard is { Subject: "compute.node-1" } && guard.Advice!.Contains("start snapshotflow-guard", StringComparison.Ordinal), text);
            Assert.True(found.Any(f => f is { Check: "pollers", Severity: "error" } && f.Subject.StartsWith("volume.node-1@file", StringComparison.Ordinal) && f.Advice is not null), text);
        }
        finally
        {
            await running.Stack.StartWorkerAsync(WorkerRole.Guard, Ct);
            await running.Stack.StartWorkerAsync(WorkerRole.Volume, Ct);
            await running.Stack.WaitForWorkersAsync(Ct);
        }
    }

    [Fact]
    public async Task A_wrong_namespace_a_database_without_tables_and_one_that_is_away_are_errors_and_no_password_is_shown()
    {
        const string secret = "a-secret-password";
        await running.Stack.Postgres.EnsureDatabaseAsync("untouched", Ct);
        var (code, found, text) = await LookAsync(("TEMPORAL_NAMESPACE", "nowhere"), ("Store__ConnectionString", running.Stack.Postgres.ConnectionString("untouched")));
        Assert.Equal(2, code);
        Assert.True(found.Any(f => f is { Check: "namespace", Severity: "error", Subject: "nowhere" } && f.Advice!.Contains("--create-namespace", StringComparison.Ordinal)), text);
        Assert.True(found.Any(f => f is { Check: "migrations", Severity: "error" } && f.Advice!.Contains("migrate", StringComparison.Ordinal)), text);

        // The same to a person: the worst on top, what to do below.
        (code, var said) = await RunAsync([], [("TEMPORAL_ADDRESS", "127.0.0.1:1"), ("Store__ConnectionString", $"Host=127.0.0.1;Port=1;Database=d;Username=u;Password={secret}")]);
        Assert.Equal(2, code);
        Assert.Contains("ERROR", said, StringComparison.Ordinal);
        Assert.Contains("correct Store__ConnectionString", said, StringComparison.Ordinal);
        Assert.Contains("correct TEMPORAL_ADDRESS", said, StringComparison.Ordinal);
        Assert.Contains("2 errors, 0 warnings", said, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_it_does_not_know_is_said_and_nothing_is_looked_at()
    {
        var (code, said) = await RunAsync(["--all"], []);
        Assert.Equal(64, code);
        Assert.Contains("doctor does not know '--all'", said, StringComparison.Ordinal);
    }

    private async Task<(int Code, IReadOnlyList<Found> Found, string Text)> LookAsync(params (string Name, string Value)[] environment)
    {
        var (code, text) = await RunAsync(["--json"], environment);
        Assert.True(text.Contains('{', StringComparison.Ordinal), text);
        var report = JsonSerializer.Deserialize<JsonElement>(text[text.IndexOf('{', StringComparison.Ordinal)..]);
        var found = report.GetProperty("findings").Deserialize<List<Found>>(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true })!;
        Assert.Equal(code switch { 0 => "ok", 1 => "warning", _ => "error" }, report.GetProperty("severity").GetString());
        return (code, found, text);
    }

    private async Task<(int Code, string Said)> RunAsync(IReadOnlyList<string> args, (string Name, string Value)[] environment)
    {
        var stack = running.Stack;
        var own = new Dictionary<string, string?>(stack.Temporal.Environment) { ["Store__ConnectionString"] = stack.ConnectionString };
        foreach (var (name, value) in environment)
        {
            own[name] = value;
        }

        var process = await stack.StartProcessAsync(new ChildCommand($"doctor-{Guid.NewGuid()}", stack.Programs.Workers, ["doctor", .. args]) { Environment = own }, Ct);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(Deadline);
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode!.Value, await File.ReadAllTextAsync(process.LogFile, Ct));
    }

    private sealed record Found(string Check, string Severity, string Subject, [property: System.Text.Json.Serialization.JsonPropertyName("found")] string What, string? Advice);
}
