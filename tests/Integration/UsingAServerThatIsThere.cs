using System.Diagnostics;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.Integration;

/// <summary>With <c>TEMPORAL_ADDRESS</c> set, <c>up</c> starts no Temporal: it uses that one, says so, and sets up what is missing on it.</summary>
public sealed class UsingAServerThatIsThere(RunningStack running) : IDisposable
{
    private const string Namespace = "given";

    private readonly DirectoryInfo state = Directory.CreateTempSubdirectory("snapshotflow-test-");

    public void Dispose() => state.Delete(recursive: true);

    [Fact]
    public async Task It_is_used_and_gets_its_namespace_and_search_attributes()
    {
        var ct = TestContext.Current.CancellationToken;
        using var up = StackProgram.Start(["up", "--state", state.FullName], ("TEMPORAL_ADDRESS", running.Stack.Temporal.Address), ("TEMPORAL_NAMESPACE", Namespace));
        await Wait.ForAsync("up to be ready", TimeSpan.FromSeconds(90), async token =>
        {
            Assert.False(up.HasExited, up.HasExited ? await up.StandardError.ReadToEndAsync(token) : null);
            return StackState.FindRunning(state.FullName);
        }, ct);

        var service = running.Stack.Temporal.Client.Connection;
        var attributes = await service.OperatorService.ListSearchAttributesAsync(new() { Namespace = Namespace }, new() { CancellationToken = ct });
        var described = await service.WorkflowService.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = Namespace }, new() { CancellationToken = ct });
        await StackProgram.SignalAsync(up, "TERM", ct);
        var said = await up.StandardOutput.ReadToEndAsync(ct);

        Assert.Equal(running.Stack.Settings.SearchAttributes.Keys.Order(), attributes.CustomAttributes.Keys.Order().Intersect(running.Stack.Settings.SearchAttributes.Keys));
        Assert.Equal(Namespace, described.NamespaceInfo.Name);
        Assert.Contains($"Temporal (given by TEMPORAL_ADDRESS) on {running.Stack.Temporal.Address}", said, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(state.FullName, "log", "temporal.log")));
    }
}
