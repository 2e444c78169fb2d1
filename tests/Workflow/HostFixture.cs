using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Activities;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Client;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// A site with the real activities of hypervisor and back end, over a guest and a storage in memory, and a real guard over real leases. The records are those of
/// a <see cref="FakeCloud"/>.
/// </summary>
public sealed class HostFixture : IAsyncLifetime, IGuestAgents
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-host-");
    private readonly FakeActivities records = new();
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> running = [];
    private WorkflowEnvironment environment = null!;
    private IVolumeDriver driver = null!;
    private (TemporalWorker Worker, Task Done, CancellationTokenSource Stop)? control;

    public ITemporalClient Client => environment.Client;

    public InMemoryGuestAgent Guest { get; private set; } = null!;

    /// <summary>What is in the back end.</summary>
    public async Task<IReadOnlyList<SnapshotId>> SnapshotsAsync() => [.. (await driver.ListSnapshotsAsync(null, 1000, CancellationToken.None)).Snapshots.Select(s => s.Snapshot)];

    public async ValueTask InitializeAsync()
    {
        environment = await TemporalEnvironment.StartAsync();
        var time = TimeProvider.System;
        var leases = new FreezeLeaseDirectory(Path.Combine(directory.FullName, "leases"));
        var clock = new LinuxHostClock(time);
        running.Add(new FreezeGuard(leases, this, clock, time, GuardDuty.Guard, NullLogger<FreezeGuard>.Instance).RunAsync(() => { }, Task.CompletedTask, stop.Token));
        await Eventually.TrueAsync(() => GuardHeartbeat.Doubt(leases, clock) is null);
        driver = new FaultLayer(new InMemoryVolumeDriver(new InMemoryStorage(), time), FaultFile, time);
        Work(new TemporalWorkerOptions(Names.ComputeQueue("host-1")).AddAllActivities(new GuestActivities(this, leases, clock, time, NullLogger<GuestActivities>.Instance)));
        Work(new TemporalWorkerOptions(Names.VolumeQueue("host-1@file")).AddAllActivities(new VolumeActivities(driver, time)));
        await ServeAsync([.. AllWorkflows.Types]);
    }

    public async ValueTask DisposeAsync()
    {
        await StopServingAsync();
        await stop.CancelAsync();
        await Task.WhenAll(running.Select(r => r.ContinueWith(_ => { }, TaskScheduler.Default)));
        await environment.ShutdownAsync();
        stop.Dispose();
        directory.Delete(recursive: true);
    }

    IGuestAgent IGuestAgents.Open(string? address) => Guest;

    /// <summary>A server with fresh volumes and a fresh guest, and a back end without faults but these.</summary>
    public async Task<FakeCloud> UseAsync(params FaultRule[] faults)
    {
        Guest = new(TimeProvider.System) { CallTimeout = TimeSpan.FromMilliseconds(300) };
        var cloud = records.Cloud = new();
        await InjectAsync();
        foreach (var volume in cloud.Volumes)
        {
            await driver.CreateVolumeAsync(volume, 1 << 20, CancellationToken.None);
        }

        await InjectAsync(faults);
        return cloud;
    }

    /// <summary>Has the back end go wrong from now on as these rules say.</summary>
    public async Task InjectAsync(params FaultRule[] faults)
    {
        await File.WriteAllTextAsync(FaultFile + ".new", FaultRule.Write(faults));
        File.Move(FaultFile + ".new", FaultFile, overwrite: true);
    }

    public Task<WorkflowHandle<CreateImageWorkflow, CreateImageResult>> StartAsync(CreateImageInput request) => Client.StartWorkflowAsync(
        (CreateImageWorkflow w) => w.RunAsync(request),
        new(Names.CreateImageWorkflow(request.Image), Names.ControlQueue)
        {
            TaskTimeout = TimeSpan.FromSeconds(2),
            RunTimeout = CreateImageWorkflow.LongestRun,
            TypedSearchAttributes = SearchAttributes.ForStart(request.Caller, request.Server, request.Image),
        });

    /// <summary>Has a control worker with this code serve the runs, in place of the one before.</summary>
    public async Task ServeAsync(params Type[] workflows)
    {
        await StopServingAsync();
        var options = new TemporalWorkerOptions(Names.ControlQueue) { StickyQueueScheduleToStartTimeout = TimeSpan.FromSeconds(1) }.AddAllActivities<IRecordActivities>(records);
        foreach (var workflow in workflows)
        {
            options.AddWorkflow(workflow);
        }

        var worker = new TemporalWorker(Client, options);
        var ended = new CancellationTokenSource();
        control = (worker, worker.ExecuteAsync(ended.Token).ContinueWith(_ => { }, TaskScheduler.Default), ended);
    }

    private string FaultFile => Path.Combine(directory.FullName, "faults.json");

    private async Task StopServingAsync()
    {
        if (control is var (worker, done, ended))
        {
            control = null;
            await ended.CancelAsync();
            await done;
            worker.Dispose();
            ended.Dispose();
        }
    }

    private void Work(TemporalWorkerOptions options)
    {
        var worker = new TemporalWorker(Client, options);
        running.Add(worker.ExecuteAsync(stop.Token).ContinueWith(_ => worker.Dispose(), TaskScheduler.Default));
    }
}
