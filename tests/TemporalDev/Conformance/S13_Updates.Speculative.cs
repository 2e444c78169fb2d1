using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Protocol.V1;
using Temporalio.Api.Update.V1;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Tasks that carry nothing but updates, and leave no event when all of these are rejected.</summary>
public sealed partial class S13_Updates
{
    [Fact]
    public async Task S13_1_A_task_whose_updates_are_all_rejected_leaves_no_event()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var tokens = new List<Google.Protobuf.ByteString>();
        for (var i = 0; i < 2; i++)
        {
            var update = UpdateAsync($"u{i}");
            var task = await worker.PollAsync();
            Assert.Equal(before.Count + 2, task.StartedEventId);
            Assert.Equal(task.StartedEventId, task.History.Events[^1].EventId);
            tokens.Add(task.TaskToken);
            var answer = await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
            Assert.Equal(before.Count - 1, answer.ResetHistoryEventId);
            Assert.Equal("not like that", (await update).Outcome.Failure.Message);
        }

        Assert.NotEqual(tokens[0], tokens[1]);
        Assert.Equal(before, await worker.EventTypesAsync());
        await worker.TerminateAsync();
        Assert.Equal([.. before, EventType.WorkflowExecutionTerminated], await worker.EventTypesAsync());
    }

    [Fact]
    public async Task S13_1_A_late_answer_to_a_task_that_left_no_event_is_refused()
    {
        await StartIdleAsync();
        var first = UpdateAsync("first");
        var old = await worker.PollAsync();
        await worker.CompleteAsync(old, r => r.Messages.Add(Reject(old.Messages[0])));
        await first;
        var second = UpdateAsync("second");
        var task = await worker.PollAsync();
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => worker.CompleteAsync(old, r => r.Messages.Add(Reject(old.Messages[0]))));
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("second"));
        await second;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_An_event_makes_an_ordinary_task_of_it()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await worker.SignalAsync("wake");
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted], await worker.EventTypesAsync());
        await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
        await update;
        Assert.Equal(
            [.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted, EventType.WorkflowExecutionSignaled, EventType.WorkflowTaskScheduled],
            await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_An_event_before_the_start_makes_an_ordinary_task_of_it()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await AdmittedAsync("u");
        Assert.Equal(before, await worker.EventTypesAsync());
        await worker.SignalAsync("wake");
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowExecutionSignaled], await worker.EventTypesAsync());
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_A_failed_task_is_written_with_its_failure()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await worker.FailAsync(await worker.PollAsync());
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskFailed], await worker.EventTypesAsync());
        var task = await worker.PollAsync();
        await CompleteWithAsync(task, Accept(task.Messages[0]), Respond("u"));
        await update;
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S13_1_A_termination_writes_a_started_task_and_forgets_a_scheduled_one()
    {
        await StartIdleAsync();
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        await worker.PollAsync();
        await worker.TerminateAsync();
        Assert.Equal(
            [.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskFailed, EventType.WorkflowExecutionTerminated],
            await worker.EventTypesAsync());
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => update);
    }

    [Fact]
    public async Task S13_1_Events_that_went_along_are_seen_again_by_a_worker_that_can()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 3600));
        var before = await worker.EventTypesAsync();
        var update = UpdateAsync("u");
        var task = await worker.PollAsync();
        await worker.CompleteAsync(task, r =>
        {
            SeesEventsAgain(r);
            r.Messages.Add(Reject(task.Messages[0]));
        });
        await update;
        Assert.Equal(before, await worker.EventTypesAsync());

        // One that cannot gets an ordinary task.
        update = UpdateAsync("v");
        task = await worker.PollAsync();
        await worker.CompleteAsync(task, r => r.Messages.Add(Reject(task.Messages[0])));
        await update;
        Assert.Equal([.. before, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted], await worker.EventTypesAsync());
        await worker.TerminateAsync();
    }
}
