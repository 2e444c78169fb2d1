using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Workers.Metrics;

/// <summary>
/// How things stand in the records and in Temporal's task queues, as gauges, read anew every <see cref="Interval"/>. Every control worker says the same;
/// whoever adds them up takes the greatest. When the database or Temporal is away the gauges are silent, rather than showing what was.
/// </summary>
internal sealed partial class ControlMetrics(
    StandingStore standing, ReconciliationStore places, ITemporalClient temporal, IMeterFactory meters, TimeProvider time, ILogger<ControlMetrics> logger) : BackgroundService
{
    public const string MeterName = "SnapshotFlow.Control";

    /// <summary>Time between two readings.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    private volatile Standing? levels;
    private volatile IReadOnlyList<Measurement<long>> backlogs = [];
    private volatile IReadOnlyList<Measurement<int>> pollers = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var meter = meters.Create(MeterName);
        meter.CreateObservableGauge("snapshotflow.runs.running", () => Of(l => l.Running), "{run}", "Runs that have not ended");
        meter.CreateObservableGauge("snapshotflow.runs.with_leftovers", () => Of(l => l.WithLeftovers), "{run}", "Runs that left something behind which nobody has put in order since");
        meter.CreateObservableGauge("snapshotflow.run.last_success", () => Of(l => l.LastSuccessAt?.ToUnixTimeSeconds()), "s", "When the last run completed, in seconds since 1970");
        meter.CreateObservableGauge("snapshotflow.server_group.last_success", () => Groups(g => g.LastSuccessAt), "s", "When a run of one of the group's servers last completed, in seconds since 1970");
        meter.CreateObservableGauge(
            "snapshotflow.server_group.without_success_since", () => Groups(g => g.WithoutSuccessSince), "s", "When the first server of a group that never had a success was registered, in seconds since 1970");
        meter.CreateObservableGauge("snapshotflow.quota.reservations", () => Of(l => l.Reservations), "{reservation}", "Images with an open quota reservation");
        meter.CreateObservableGauge("snapshotflow.outbox.undelivered", () => Of(l => l.Undelivered), "{notification}", "Notifications that wait to be delivered");
        meter.CreateObservableGauge(
            "snapshotflow.outbox.lag", () => Of(l => l.OldestUndeliveredAt is { } since ? (long)(time.GetUtcNow() - since).TotalSeconds : 0), "s", "How long the oldest of them has waited");
        meter.CreateObservableGauge("snapshotflow.reconcile.findings", Findings, "{finding}", "Open findings of the reconciler");
        meter.CreateObservableGauge("snapshotflow.task_queue.backlog", () => backlogs, "{task}", "Tasks that wait for a worker");
        meter.CreateObservableGauge("snapshotflow.task_queue.pollers", () => pollers, "{poller}", "Workers that ask for activity tasks");

        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            await ReadAsync(stoppingToken);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task ReadAsync(CancellationToken ct)
    {
        try
        {
            levels = await standing.ReadAsync(ct);
            await ReadTaskQueuesAsync(ct);
        }
        catch (Exception e) when (e is SnapshotFlowException or RpcException)
        {
            levels = null;
            backlogs = [];
            pollers = [];
            NotRead(logger, e.Message);
        }
    }

    private async Task ReadTaskQueuesAsync(CancellationToken ct)
    {
        string[] queues =
        [
            Names.ControlQueue, .. (await places.HostsAsync(ct)).Select(Names.ComputeQueue), .. (await places.BackendsAsync(ct)).Select(Names.VolumeQueue),
        ];
        List<Measurement<long>> waiting = [];
        List<Measurement<int>> asking = [];
        foreach (var queue in queues)
        {
            var steps = await DescribeAsync(queue, TaskQueueType.Activity, ct);
            // Only control workers have tasks of workflows.
            var decisions = queue == Names.ControlQueue ? await DescribeAsync(queue, TaskQueueType.Workflow, ct) : null;
            KeyValuePair<string, object?> label = new("task_queue", queue);
            waiting.Add(new((steps.Stats?.ApproximateBacklogCount ?? 0) + (decisions?.Stats?.ApproximateBacklogCount ?? 0), label));
            asking.Add(new(steps.Pollers.Count, label));
        }

        backlogs = waiting;
        pollers = asking;
    }

    private Task<DescribeTaskQueueResponse> DescribeAsync(string queue, TaskQueueType type, CancellationToken ct) => temporal.Connection.WorkflowService.DescribeTaskQueueAsync(
        new() { Namespace = temporal.Options.Namespace, TaskQueue = new() { Name = queue }, TaskQueueType = type, ReportStats = true }, new() { CancellationToken = ct });

    private IEnumerable<Measurement<long>> Of(Func<Standing, long?> number) => levels is { } now && number(now) is { } value ? [new(value)] : [];

    /// <summary>A group that has no such time is silent. Those beyond the most that are told apart have OpenTelemetry's own mark of an overflow in place of a name.</summary>
    private IEnumerable<Measurement<long>> Groups(Func<ServerGroupLevels, DateTimeOffset?> time) => (levels?.Groups ?? []).Where(g => time(g) is not null).Select(g => new Measurement<long>(
        time(g)!.Value.ToUnixTimeSeconds(), g.Name is { } name ? new KeyValuePair<string, object?>("server_group", name) : new("otel.metric.overflow", true)));

    /// <summary>Every kind, so that one that has none says so.</summary>
    private IEnumerable<Measurement<long>> Findings() =>
        levels is { } now ? Enum.GetValues<FindingKind>().Select(kind => new Measurement<long>(now.Findings.GetValueOrDefault(kind), new KeyValuePair<string, object?>("kind", kind.ToText()))) : [];

    [LoggerMessage(1, LogLevel.Warning, "How things stand could not be read for the metrics: {Reason}")]
    private static partial void NotRead(ILogger logger, string reason);
}
