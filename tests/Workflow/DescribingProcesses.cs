using SnapshotFlow.Model;
using SnapshotFlow.Tests.Workflow.Replay;
using SnapshotFlow.Workflows;
using Temporalio.Api.Sdk.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>What the Temporal UI shows as "current details" of the processes that make no image.</summary>
public sealed class DescribingProcesses(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    // Source: Temporal SDKs, the query that every workflow answers.
    private const string MetadataQuery = "__temporal_workflow_metadata";

    public static TheoryData<string> Processes => [.. RecordingResourceRuns.Processes.Keys];

    [Theory]
    [MemberData(nameof(Processes))]
    public async Task A_process_shows_every_step_with_its_time_and_that_it_completed(string process)
    {
        var run = await StartAsync(process, fixture.Use(new()));
        await EndedAsync(run);

        var (heading, rows) = await ReadAsync(run);

        Assert.Equal("**completed**", heading);
        Assert.Equal(await SummariesAsync(run), rows.Select(r => r.What));
        Assert.Contains(rows, r => r.What.EndsWith($" on {FakeResources.Backend}", StringComparison.Ordinal));
        Assert.All(rows, r => Assert.True(int.TryParse(r.Milliseconds, out _) && r.Failure == "", r.ToString()));
    }

    [Theory]
    [MemberData(nameof(Processes))]
    public async Task A_process_that_is_going_on_shows_the_step_that_it_waits_for(string process)
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script(RecordingResourceRuns.Steps[process][1], held);
        var run = await StartAsync(process, resources);
        await held.Reached;

        var (heading, rows) = await ReadAsync(run);
        held.Release();
        await EndedAsync(run);

        Assert.Equal("**running**", heading);
        Assert.True(int.TryParse(rows[0].Milliseconds, out _), rows[0].ToString());
        Assert.Contains(rows.Skip(1), r => r.Milliseconds == "…");
        Assert.All(rows, r => Assert.Equal("", r.Failure));
    }

    [Theory]
    [MemberData(nameof(Processes))]
    public async Task A_process_that_was_refused_says_why_and_does_not_call_it_a_failure(string process)
    {
        var resources = fixture.Use(new());
        resources.Script(RecordingResourceRuns.Steps[process][0], Fault.Fails(ErrorKind.StaleStatus, "somebody else has it"));
        var run = await StartAsync(process, resources);
        await EndedAsync(run);

        var (heading, rows) = await ReadAsync(run);

        Assert.Equal("**refused**\n\nStaleStatus: somebody else has it", heading);
        // What makes something is withdrawn, because nobody knows whether it had begun.
        Assert.Equal("somebody else has it", rows[0].Failure);
        Assert.All(rows.Skip(1), r => Assert.Equal("", r.Failure));
    }

    [Fact]
    public async Task What_a_back_end_says_stays_in_its_cell_whatever_it_is()
    {
        var resources = fixture.Use(new());
        resources.Script("CreateVolumeSnapshot", Fault.Fails(ErrorKind.BackendRefused, "rbd: error\n| pool | full |"));
        var run = await StartAsync("create-snapshot", resources);
        await EndedAsync(run);

        var (heading, rows) = await ReadAsync(run);

        Assert.StartsWith("**failed**\n\nBackendRefused: rbd: error", heading, StringComparison.Ordinal);
        Assert.Equal("rbd: error \\| pool \\| full \\|", Assert.Single(rows, r => r.Failure != "").Failure);
        // The undo is there too.
        Assert.Equal(await SummariesAsync(run), rows.Select(r => r.What));
    }

    [Fact]
    public async Task A_restore_that_was_cancelled_and_one_that_left_something_say_so()
    {
        var resources = fixture.Use(new());
        var held = Fault.HoldsDeaf();
        resources.Script("CreateVolumeFromSnapshot", held);
        var cancelled = await StartAsync("restore-image", resources);
        await ResourceFixture.CancelAtAsync(cancelled, held);
        await EndedAsync(cancelled);
        Assert.StartsWith("**cancelled**", (await ReadAsync(cancelled)).Heading, StringComparison.Ordinal);

        resources = fixture.Use(new());
        resources.Script("CompleteRestore", Fault.Fails());
        resources.Script("DeleteVolume", Fault.Fails(ErrorKind.BackendRefused, "read-only"));
        var left = await StartAsync("restore-image", resources);
        await EndedAsync(left);
        var (heading, rows) = await ReadAsync(left);
        Assert.StartsWith("**compensation_failed**\n\nCompensationFailed: ", heading, StringComparison.Ordinal);
        Assert.Contains(Names.Volume(Assert.Single(resources.StoredVolumes)), heading, StringComparison.Ordinal);
        Assert.Single(rows, r => r.Failure == "read-only");
    }

    [Fact]
    public async Task A_look_of_the_reconciler_shows_what_it_looked_at()
    {
        fixture.Use(new());
        fixture.Looks.Reset();
        var look = await fixture.StartLookAsync();
        await EndedAsync(look);

        var (heading, rows) = await ReadAsync(look);

        Assert.Equal("**completed**", heading);
        Assert.Equal(await SummariesAsync(look), rows.Select(r => r.What));
        Assert.NotEmpty(rows);
    }

    private Task<WorkflowHandle> StartAsync(string process, FakeResources resources) => RecordingResourceRuns.Processes[process](fixture, resources);

    private static async Task EndedAsync(WorkflowHandle run)
    {
        try
        {
            await run.GetResultAsync();
        }
        catch (WorkflowFailedException)
        {
            // Its details say how it ended.
        }
    }

    /// <summary>The details: what is above the table, and its rows.</summary>
    private static async Task<(string Heading, List<Row> Rows)> ReadAsync(WorkflowHandle run)
    {
        var text = (await run.QueryAsync<WorkflowMetadata>(MetadataQuery, [])).CurrentDetails;
        const string Head = "\n\n| step | ms | |\n|---|---|---|";
        var table = text.IndexOf(Head, StringComparison.Ordinal);
        Assert.True(table > 0, text);
        var lines = text[(table + Head.Length)..].Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return (text[..table], [.. lines.Select(Row.Read)]);
    }

    /// <summary>What the run's history calls its activities, one after the other.</summary>
    private static async Task<List<string>> SummariesAsync(WorkflowHandle run) =>
    [
        .. (await run.FetchHistoryAsync()).Events.Where(e => e.ActivityTaskScheduledEventAttributes is not null)
            .Select(e => e.UserMetadata?.Summary is { } summary
                ? System.Text.Json.JsonSerializer.Deserialize<string>(summary.Data.Span)!
                : e.ActivityTaskScheduledEventAttributes.ActivityType.Name),
    ];

    private sealed record Row(string What, string Milliseconds, string Failure)
    {
        public static Row Read(string line)
        {
            var cells = System.Text.RegularExpressions.Regex.Split(line, @"(?<!\\)\|").Select(c => c.Trim()).ToArray();
            Assert.True(cells is ["", _, _, _, ""], line);
            return new(cells[1], cells[2], cells[3]);
        }
    }
}
