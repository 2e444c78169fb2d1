using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace SnapshotFlow.Tests.Workflow.Replay;

/// <summary>Makes one run per branch and writes its history to the directory that <c>SNAPSHOTFLOW_HISTORIES</c> names: <c>./snapshotflow histories record</c>.</summary>
public sealed partial class RecordingRuns(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    public static TheoryData<string> Names => [.. Branches.All.Keys];

    [Theory(Explicit = true)]
    [MemberData(nameof(Names))]
    public async Task Record(string name)
    {
        var directory = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_HISTORIES") ?? throw new InvalidOperationException("use ./snapshotflow histories record");
        var run = await Branches.All[name](fixture);
        var history = JsonNode.Parse((await run.FetchHistoryAsync()).ToJson())!;
        Scrub(history);
        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.json"), history.ToJsonString() + "\n", TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_recorded_history_says_nothing_of_the_machine_it_was_recorded_on()
    {
        var history = JsonNode.Parse("""{"events":[{"identity":"4711@vm","queue":"4711@vm-9c52df29","failure":{"message":"no","stackTrace":"at X in /home/me/X.cs"}}]}""")!;

        Scrub(history);

        Assert.Equal("""{"events":[{"identity":"worker","queue":"worker-9c52df29","failure":{"message":"no"}}]}""", history.ToJsonString());
    }

    /// <summary>Takes out what tells of the machine: process ids, host names, and paths in stack traces.</summary>
    private static void Scrub(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject o:
                o.Remove("stackTrace");
                foreach (var (name, value) in o.ToList())
                {
                    o[name] = Scrubbed(value);
                }

                break;
            case JsonArray a:
                for (var i = 0; i < a.Count; i++)
                {
                    a[i] = Scrubbed(a[i]);
                }

                break;
        }
    }

    private static JsonNode? Scrubbed(JsonNode? value)
    {
        if (value is JsonValue leaf && leaf.TryGetValue<string>(out var text))
        {
            return JsonValue.Create(WorkerIdentity().Replace(text, "worker"));
        }

        Scrub(value);
        return value?.DeepClone();
    }

    /// <summary>The SDK's default identity of a worker: process id and host name.</summary>
    [GeneratedRegex(@"\b\d+@[A-Za-z0-9.]+")]
    private static partial Regex WorkerIdentity();
}
