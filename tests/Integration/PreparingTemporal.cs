using System.Net;
using System.Text.RegularExpressions;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Integration;

/// <summary><c>snapshotflow-workers setup</c>, and the queries that the documentation offers for what it registers.</summary>
public sealed partial class PreparingTemporal(RunningStack running)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_namespace_is_made_with_every_search_attribute_and_a_second_time_changes_nothing()
    {
        var name = $"fresh-{Guid.NewGuid():N}";

        var (first, said) = await SetupAsync(name, "--create-namespace");
        var (second, saidAgain) = await SetupAsync(name);

        Assert.True(first == 0 && second == 0, said + saidAgain);
        Assert.Contains($"created namespace {name}", said, StringComparison.Ordinal);
        Assert.Contains("every search attribute is there", saidAgain, StringComparison.Ordinal);
        var known = await running.Stack.Temporal.Client.Connection.OperatorService.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = name });
        Assert.Equal(running.Stack.Settings.SearchAttributes.Keys.Order(), known.CustomAttributes.Keys.Order());
    }

    [Fact]
    public async Task A_namespace_that_is_not_there_is_refused_unless_it_may_be_made()
    {
        var (code, said) = await SetupAsync("nowhere");

        Assert.Equal(78, code);
        Assert.Contains("TEMPORAL_NAMESPACE=nowhere is not there", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_query_in_the_documentation_is_understood()
    {
        var documentation = await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(running.Stack.Settings.Path)!, "docs", "temporal-ui.md"), Ct);
        var queries = TableCell().Matches(documentation).Select(m => m.Groups[1].Value).ToList();
        Assert.True(queries.Count >= 10, $"{queries.Count} queries found");

        foreach (var query in queries)
        {
            Assert.True(await running.Stack.Temporal.Client.CountWorkflowsAsync(query, new() { Rpc = new() { CancellationToken = Ct } }) is not null, query);
        }
    }

    [Fact]
    public async Task The_queries_find_the_runs_that_they_are_for()
    {
        await using var server = await running.ServerAsync();
        await running.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendUnavailable });
        var image = (await running.Tenant.PostAsync("/runs", new { server_id = server.Id.ToString(), name = "found", freeze_deadline = 60 }, Ct)).Expect(HttpStatusCode.Accepted).Body.GetProperty("image_id").GetString()!;
        await IsFoundAsync("What runs now?", image);
        await IsFoundAsync("Which runs hold a freeze?", image);

        await running.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused });
        await running.Tenant.WaitForEndAsync(image, Deadline, Ct);
        await running.Stack.InjectAsync(Ct);
        await IsFoundAsync("What failed today?", image);
        await IsFoundAsync("Everything about one server", image, server.Id.ToString());
        await IsFoundAsync("Everything of one project", image, Tokens.TenantProject);
        await IsFoundAsync("Which runs hold a freeze?", image, found: false);
    }

    private async Task IsFoundAsync(string question, string image, string subject = "", bool found = true)
    {
        var documentation = await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(running.Stack.Settings.Path)!, "docs", "temporal-ui.md"), Ct);
        var query = Regex.Match(documentation, $@"(?m)^\| {Regex.Escape(question)} \| `([^`]+)` \|$").Groups[1].Value.Replace("…", subject, StringComparison.Ordinal);
        Assert.NotEmpty(query);
        // Temporal's lists follow its histories after a moment.
        await Wait.UntilAsync($"'{query}' to find {image}: {found}", Deadline, async token =>
        {
            await foreach (var run in running.Stack.Temporal.Client.ListWorkflowsAsync(query, new() { Rpc = new() { CancellationToken = token } }))
            {
                if (run.Id == $"create-image/{image}")
                {
                    return found;
                }
            }

            return !found;
        }, Ct);
    }

    private async Task<(int Code, string Said)> SetupAsync(string name, params string[] args)
    {
        var process = await running.Stack.StartProcessAsync(
            new ChildCommand($"setup-{Guid.NewGuid()}", running.Stack.Programs.Workers, ["setup", .. args])
            {
                Environment = new Dictionary<string, string?>(running.Stack.Temporal.Environment) { ["TEMPORAL_NAMESPACE"] = name },
            },
            Ct);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(Deadline);
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode!.Value, process.LogTail());
    }

    [GeneratedRegex(@"(?m)^\| [^|]* \| `([^`]* (?:=|IN) [^`]*)` \|$")]
    private static partial Regex TableCell();
}
