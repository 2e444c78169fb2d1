using System.Text.Json.Nodes;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Makes one run per branch and writes its history to the directory that <c>SNAPSHOTFLOW_HISTORIES</c> names: <c>./snapshotflow histories record</c>.</summary>
public sealed class RecordingRuns(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    public static TheoryData<string> Names => [.. Branches.All.Keys];

    [Theory(Explicit = true)]
    [MemberData(nameof(Names))]
    public async Task Record(string name)
    {
        var directory = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_HISTORIES") ?? throw new InvalidOperationException("use ./snapshotflow histories record");
        var run = await Branches.All[name](fixture);
        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.json"), await RecordedHistory.OfAsync(run), TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_recorded_history_says_nothing_of_the_machine_it_was_recorded_on()
    {
        var history = JsonNode.Parse("""{"events":[{"identity":"4711@vm","queue":"4711@vm-9c52df29","failure":{"message":"no","stackTrace":"at X in /home/me/X.cs"}}]}""")!;

        RecordedHistory.Scrub(history);

        Assert.Equal("""{"events":[{"identity":"worker","queue":"worker-9c52df29","failure":{"message":"no"}}]}""", history.ToJsonString());
    }

    /// <summary>Of every recorded run, here and in <see cref="RecordingResourceRuns"/>.</summary>
    [Fact]
    public async Task No_kept_history_says_anything_of_the_machine_it_was_recorded_on()
    {
        var files = Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "Replay"), "*.json", SearchOption.AllDirectories).ToList();
        Assert.True(files.Count > 100, $"{files.Count} histories");
        foreach (var file in files)
        {
            var kept = JsonNode.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))!;
            var scrubbed = kept.DeepClone();
            RecordedHistory.Scrub(scrubbed);
            Assert.True(JsonNode.DeepEquals(kept, scrubbed), file);
        }
    }
}
