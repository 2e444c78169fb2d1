using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.Integration;

/// <summary>With <c>TEMPORAL_ADDRESS</c> set, <c>up</c> starts no Temporal: it uses that one, says so, and sets up what is missing on it.</summary>
public sealed class UsingAServerThatIsThere(RunningStack running) : IAsyncLifetime
{
    private const string Namespace = "given";

    private readonly StackProgram program = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => program.DisposeAsync();

    [Fact]
    public async Task It_is_used_and_gets_its_namespace_and_search_attributes()
    {
        var ct = TestContext.Current.CancellationToken;
        var temporal = running.Stack.Temporal;
        var up = await program.StartAsync("up", ("TEMPORAL_ADDRESS", temporal.Address), ("TEMPORAL_NAMESPACE", Namespace));
        await program.WaitUntilUpAsync(up);

        var service = temporal.Client.Connection;
        var attributes = await service.OperatorService.ListSearchAttributesAsync(new() { Namespace = Namespace }, new() { CancellationToken = ct });
        var described = await service.WorkflowService.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = Namespace }, new() { CancellationToken = ct });
        await StackProgram.SignalAsync(up, "TERM");
        var said = await StackProgram.WaitForEndAsync(up);

        Assert.Empty(running.Stack.Settings.SearchAttributes.Keys.Except(attributes.CustomAttributes.Keys));
        Assert.Equal(Namespace, described.NamespaceInfo.Name);
        Assert.Contains($"Temporal (given by TEMPORAL_ADDRESS) on {temporal.Address}", said, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(program.State, "log", "temporal.log")));
    }
}
