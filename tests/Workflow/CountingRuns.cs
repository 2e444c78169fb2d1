using System.Diagnostics.Metrics;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>What runs count about themselves: once each, with labels that tell apart what operators ask for.</summary>
public sealed class CountingRuns : IClassFixture<CreateImageFixture>, IDisposable
{
    private readonly CreateImageFixture fixture;
    private readonly MeterListener listener;
    private readonly List<Point> points = [];

    public CountingRuns(CreateImageFixture fixture)
    {
        this.fixture = fixture;
        listener = new()
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter == fixture.Meter && instrument.Name.StartsWith("snapshotflow.", StringComparison.Ordinal))
                {
                    l.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Keep(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Keep(instrument, value, tags));
        listener.Start();
    }

    public void Dispose() => listener.Dispose();

    [Fact]
    public async Task A_completed_run_counts_its_result_consistency_duration_freeze_and_skew()
    {
        var cloud = fixture.Use(new());
        var run = await fixture.StartAsync(cloud.Request());
        var evidence = (await run.GetResultAsync()).Evidence!;
        // A query after the end replays the run: it counts nothing.
        await run.QueryAsync(w => w.Progress());

        Assert.Equal(new Dictionary<string, string> { ["result"] = "completed", ["consistency"] = "application" }, (await OfAsync(RunMetrics.Runs)).Labels);
        var took = await OfAsync(RunMetrics.RunDuration);
        Assert.Equal(new Dictionary<string, string> { ["result"] = "completed" }, took.Labels);
        Assert.True(took.Value >= evidence.Freeze!.Value.TotalSeconds, $"{took.Value}");
        Assert.Equal(evidence.Freeze.Value.TotalSeconds, (await OfAsync(RunMetrics.FreezeDuration)).Value, 6);
        Assert.Equal(evidence.CutSkew.TotalSeconds, (await OfAsync(RunMetrics.CutSkew)).Value, 6);
        Assert.Empty(All(RunMetrics.LeaseExpirations).Concat(All(RunMetrics.Leftovers)).Concat(All(RunMetrics.Compensations)));
    }

    [Fact]
    public async Task A_freeze_that_the_deadline_ended_is_an_expiration()
    {
        var cloud = fixture.Use(new() { ThawTruth = truth => truth with { WasFrozen = false, LeaseExpired = true } });
        await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(1, (await OfAsync(RunMetrics.LeaseExpirations)).Value);
        Assert.NotEqual("application", (await OfAsync(RunMetrics.Runs)).Labels["consistency"]);
    }

    [Fact]
    public async Task A_host_clock_that_was_set_back_between_freeze_and_thaw_fails_no_run_and_counts_no_duration()
    {
        var cloud = fixture.Use(new() { ThawTruth = truth => truth with { FrozenAt = truth.ThawedAt.AddSeconds(1) } });

        var end = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(RunStatus.Completed, end.Status);
        await OfAsync(RunMetrics.Runs);
        Assert.Empty(All(RunMetrics.FreezeDuration));
    }

    [Fact]
    public async Task What_could_not_be_removed_is_a_leftover_of_the_undo_that_failed()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CompleteSnapshots", Fault.Fails());
        cloud.Script("DeleteVolumeSnapshot", Fault.Fails());
        var run = await fixture.StartAsync(cloud.Request());
        await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        var left = await OfAsync(RunMetrics.Leftovers);
        Assert.Equal((1d, "DeleteVolumeSnapshot"), (left.Value, left.Labels["kind"]));
        Assert.Equal("failed", Assert.Single(All(RunMetrics.Compensations), p => p.Labels["result"] == "failed").Labels["result"]);
        Assert.Equal("compensation_failed", (await OfAsync(RunMetrics.Runs)).Labels["result"]);
    }

    [Fact]
    public async Task A_refused_run_counts_as_refused_and_without_an_image()
    {
        var cloud = fixture.Use(new());
        cloud.Script("CheckQuota", Fault.Fails(ErrorKind.QuotaExceeded, "10 of 10 snapshots"));
        await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(new Dictionary<string, string> { ["result"] = "refused", ["consistency"] = "" }, (await OfAsync(RunMetrics.Runs)).Labels);
        Assert.Empty(All(RunMetrics.FreezeDuration));
    }

    private void Keep(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        // The SDK's own labels are the same for all.
        var labels = tags.ToArray().Where(t => t.Key is not ("namespace" or "task_queue" or "workflow_type" or "service_name")).ToDictionary(t => t.Key, t => (string)t.Value!);
        lock (points)
        {
            points.Add(new(instrument.Name, value, labels));
        }
    }

    /// <summary>The one point of a metric, once it is there.</summary>
    private async Task<Point> OfAsync(string metric)
    {
        await Eventually.TrueAsync(() => All(metric).Count > 0);
        return Assert.Single(All(metric));
    }

    private List<Point> All(string metric)
    {
        lock (points)
        {
            return [.. points.Where(p => p.Metric == metric)];
        }
    }

    private sealed record Point(string Metric, double Value, Dictionary<string, string> Labels);
}
