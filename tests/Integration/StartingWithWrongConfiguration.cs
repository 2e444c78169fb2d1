using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary>A process that is configured wrongly stops at its start, and says which key to correct.</summary>
public sealed class StartingWithWrongConfiguration(RunningStack running)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData("Store__ConnectionString", null, "Store:ConnectionString")]
    [InlineData("Store__ConnectionString", "nonsense", "Store:ConnectionString")]
    [InlineData("Identity__Auth", null, "Identity:Auth")]
    [InlineData("Identity__Development__UsersFile", "/nowhere/users.yaml", "Identity:Development:UsersFile")]
    public Task The_API_names_the_key(string variable, string? value, string key) => StopsNamingAsync(running.Stack.ApiCommand(), variable, value, key);

    [Theory]
    [InlineData(WorkerRole.Control, "Workers__Roles", null, "Workers:Roles")]
    [InlineData(WorkerRole.Control, "Workers__Roles", "kontrol", "Workers:Roles")]
    [InlineData(WorkerRole.Control, "Store__ConnectionString", null, "Store:ConnectionString")]
    [InlineData(WorkerRole.Control, "TEMPORAL_ADDRESS", null, "TEMPORAL_ADDRESS")]
    [InlineData(WorkerRole.Control, "Workers__FailpointSocket", "/nowhere/failpoints.sock", "Workers:FailpointSocket")]
    [InlineData(WorkerRole.Compute, "Compute__Host", null, "Compute:Host")]
    [InlineData(WorkerRole.Compute, "Compute__LeaseDirectory", "relative", "Compute:LeaseDirectory")]
    [InlineData(WorkerRole.Guard, "Compute__LeaseDirectory", null, "Compute:LeaseDirectory")]
    [InlineData(WorkerRole.Guard, "Workers__Roles", "guard,compute", "Workers:Roles")]
    [InlineData(WorkerRole.Volume, "Volume__Backends__0__Driver", "floppy", "Volume:Backends:0:Driver")]
    [InlineData(WorkerRole.Volume, "Volume__Backends__0__Root", "/nowhere", "Volume:Backends:0:Root")]
    public Task A_worker_names_the_key(WorkerRole role, string variable, string? value, string key) => StopsNamingAsync(running.Stack.WorkerCommand(role), variable, value, key);

    private async Task StopsNamingAsync(ChildCommand right, string variable, string? value, string key)
    {
        var ct = TestContext.Current.CancellationToken;
        var wrong = right with
        {
            Name = $"wrong-{Guid.NewGuid()}",
            Environment = new Dictionary<string, string?>(right.Environment) { [variable] = value },
        };

        var process = await running.Stack.StartProcessAsync(wrong, ct);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Deadline);
        await process.WaitForExitAsync(patience.Token);

        Assert.NotEqual(0, process.ExitCode);
        Assert.Contains(key, process.LogTail(), StringComparison.Ordinal);
    }
}
