using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Integration;

/// <summary>What is done to an image after it was made, through every process and in the real back end.</summary>
public sealed class DeletingAndRestoringAnImage(RunningStack running)
{
    private const long Compared = 16 << 20;

    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_deleted_image_leaves_no_snapshot_in_the_records_nor_in_the_back_end_and_no_quota_used()
    {
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        var image = await MadeAsync(server);

        var answer = await running.Tenant.SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null, Ct);

        Assert.Equal(HttpStatusCode.NoContent, answer.Status);
        Assert.Null(await running.Tenant.ImageStatusAsync(image, Ct));
        Assert.Equal("completed", (await EndedAsync(await OperationOfAsync(image))).GetProperty("status").GetString());
        Assert.Equal(before, await running.HoldingsAsync());
    }

    [Fact]
    public async Task A_restored_image_is_a_set_of_volumes_with_the_bytes_of_the_snapshots_and_they_can_be_deleted_again()
    {
        await using var server = await running.ServerAsync(new() { State = VmState.Stopped, WithGuest = false });
        foreach (var volume in server.Volumes)
        {
            await using var file = File.OpenWrite(running.Stack.Storage.VolumeFile(volume));
            await file.WriteAsync(RandomNumberGenerator.GetBytes(2 << 20), Ct);
        }

        var image = await MadeAsync(server);

        var started = (await running.Tenant.PostAsync($"/runs/{image}/restore", new { name = "copy" }, Ct)).Expect(HttpStatusCode.Accepted).Body;
        var operation = await EndedAsync(started.GetProperty("operation_id").GetString()!);

        Assert.Equal("completed", operation.GetProperty("status").GetString());
        var volumes = started.GetProperty("volumes").EnumerateArray().Select(v => VolumeId.Parse(v.GetProperty("volume_id").GetString()!)).ToList();
        Assert.Equal(server.Volumes.Count, volumes.Count);
        for (var i = 0; i < volumes.Count; i++)
        {
            // The server is stopped and nobody writes, so its volumes are what the snapshots are.
            Assert.True(await BeginsWithAsync(running.Stack.Storage.VolumeFile(volumes[i]), running.Stack.Storage.VolumeFile(server.Volumes[i])), $"volume {i} differs");
            (await running.Tenant.SendAsync(HttpMethod.Delete, $"/volume/v3/{Tokens.TenantProject}/volumes/{volumes[i]}", null, Ct)).Expect(HttpStatusCode.Accepted);
        }

        await UntilAsync(() => Task.FromResult(volumes.TrueForAll(v => !File.Exists(running.Stack.Storage.VolumeFile(v)))));
    }

    [Fact]
    public async Task A_restore_that_fails_half_way_leaves_no_volume()
    {
        await using var server = await running.ServerAsync(new() { State = VmState.Stopped, WithGuest = false });
        var image = await MadeAsync(server);
        await running.Stack.InjectAsync(Ct, new FaultRule
        {
            Operation = VolumeOperation.CreateVolumeFromSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the pool is full", Times = 1,
        });

        JsonElement started, operation;
        try
        {
            started = (await running.Tenant.PostAsync($"/runs/{image}/restore", new { }, Ct)).Expect(HttpStatusCode.Accepted).Body;
            operation = await EndedAsync(started.GetProperty("operation_id").GetString()!);
        }
        finally
        {
            await running.NoFaultsAsync();
        }

        Assert.Equal("failed", operation.GetProperty("status").GetString());
        foreach (var volume in started.GetProperty("volumes").EnumerateArray().Select(v => VolumeId.Parse(v.GetProperty("volume_id").GetString()!)))
        {
            Assert.False(File.Exists(running.Stack.Storage.VolumeFile(volume)));
            (await running.Tenant.GetAsync($"/volume/v3/{Tokens.TenantProject}/volumes/{volume}", Ct)).Expect(HttpStatusCode.NotFound);
        }
    }

    private async Task<string> MadeAsync(GuestServer server)
    {
        var image = await running.Tenant.CreateImageAsync(server.Id, "kept", Ct);
        Assert.Equal("completed", (await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct)).Status);
        return image;
    }

    private async Task<string> OperationOfAsync(string image) =>
        (await running.Tenant.GetAsync($"/operations?image_id={image}", Ct)).Expect(HttpStatusCode.OK).Body.GetProperty("operations")[0].GetProperty("id").GetString()!;

    private async Task<JsonElement> EndedAsync(string operation)
    {
        JsonElement found = default;
        await UntilAsync(async () =>
        {
            found = (await running.Tenant.GetAsync($"/operations/{operation}", Ct)).Expect(HttpStatusCode.OK).Body;
            return found.GetProperty("status").GetString() != "running";
        });
        return found;
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        deadline.CancelAfter(RunDeadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!await condition())
        {
            await timer.WaitForNextTickAsync(deadline.Token);
        }
    }

    private static async Task<bool> BeginsWithAsync(string whole, string part)
    {
        await using var one = File.OpenRead(whole);
        await using var other = File.OpenRead(part);
        return await EqualAsync(one, other);
    }

    private static async Task<bool> EqualAsync(FileStream whole, FileStream part)
    {
        var (a, b) = (new byte[1 << 20], new byte[1 << 20]);
        int read;
        // The rest is a hole of a GiB.
        while (part.Position < Compared && (read = await part.ReadAtLeastAsync(b, b.Length, throwOnEndOfStream: false, Ct)) > 0)
        {
            await whole.ReadExactlyAsync(a.AsMemory(0, read), Ct);
            if (!a.AsSpan(0, read).SequenceEqual(b.AsSpan(0, read)))
            {
                return false;
            }
        }

        return true;
    }
}
