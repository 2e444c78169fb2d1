using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using SnapshotFlow.Drivers.Leases;

namespace SnapshotFlow.Workers.Metrics;

/// <summary>
/// What the guard of this host says of itself, as gauges: it reaches no network, so the compute worker beside it speaks for it. Read from its sign of life
/// whenever metrics are collected.
/// </summary>
internal sealed class ComputeMetrics(FreezeLeaseDirectory leases, IHostClock clock, IMeterFactory meters) : IHostedService
{
    public const string MeterName = "SnapshotFlow.Compute";

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var meter = meters.Create(MeterName);
        meter.CreateObservableGauge("snapshotflow.guard.alive", () => Doubt is null ? 1 : 0, null, "1 while the guard of this host can thaw guests, else 0");
        meter.CreateObservableGauge("snapshotflow.guests.frozen", () => Of(s => s.Open), "{guest}", "Guests of this host that are under a freeze lease now");
        meter.CreateObservableGauge("snapshotflow.guests.overdue", () => Of(s => s.Overdue), "{guest}", "Guests of this host that are past their deadline without a confirmed thaw");
        meter.CreateObservableGauge("snapshotflow.leases.unreadable", () => Of(s => s.Unreadable), "{file}", "Files among the leases of this host that are no leases");
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private string? Doubt => GuardHeartbeat.Doubt(leases, clock);

    /// <summary>Nothing when the guard says nothing: a number from a dead guard would be a lie.</summary>
    private IEnumerable<Measurement<int>> Of(Func<GuardStatus, int> number) =>
        Doubt is null && GuardHeartbeat.Read(leases) is { } status ? [new(number(status))] : [];
}
