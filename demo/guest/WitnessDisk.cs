using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace SnapshotFlow.DemoGuest;

/// <summary>
/// One disk of the demo guest: a ring of records, so that a checker sees not only the last write but whether the ones before it are all there.
/// <para>Format, version 1. The disk begins with <see cref="Slots"/> slots of <see cref="RecordBytes"/> bytes; the rest of the disk is not used. Sequence number n
/// (1, 2, 3, …) is written to slot n mod <see cref="Slots"/>. A slot that was never written is all zeros. A record, little-endian:</para>
/// <code>
/// offset  bytes  what
///      0      8  "SFWITNS1"
///      8      8  sequence number
///     16      4  number of the disk, from 1
///     20   4044  filler: byte at offset o is (sequence + 31 × o) mod 256, so that every part of the record depends on the number
///   4064     32  SHA-256 of the bytes before
/// </code>
/// </summary>
public sealed partial class WitnessDisk : IDisposable
{
    /// <summary>Records in the ring.</summary>
    public const int Slots = 16;

    /// <summary>Size of a record: a page, which file systems and disks write as one.</summary>
    public const int RecordBytes = 4096;

    /// <summary>Smallest disk that holds the ring.</summary>
    public const long MinBytes = Slots * RecordBytes;

    private const int HashBytes = 32, FillerOffset = 20;

    private readonly SafeFileHandle file;
    private readonly string path;
    private readonly int number;
    private readonly byte[] record = new byte[RecordBytes];

    private WitnessDisk(SafeFileHandle file, string path, int number)
    {
        this.file = file;
        this.path = path;
        this.number = number;
    }

    private static ReadOnlySpan<byte> Magic => "SFWITNS1"u8;

    /// <summary>Opens a disk for writing; makes the file when it is absent.</summary>
    /// <param name="path">The disk's file.</param>
    /// <param name="number">Which disk it is, from 1.</param>
    /// <param name="newBytes">Size of a file that has to be made; one that is there keeps its own.</param>
    /// <exception cref="IOException">It cannot be opened, or it is too small; the message says which.</exception>
    public static WitnessDisk Open(string path, int number, long newBytes)
    {
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        try
        {
            if (RandomAccess.GetLength(file) == 0)
            {
                RandomAccess.SetLength(file, newBytes);
            }

            return RandomAccess.GetLength(file) is var length && length >= MinBytes
                ? new(file, path, number)
                : throw new IOException($"disk {path} has {length} bytes; the witness needs at least {MinBytes}");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes one record and returns when it is on stable storage.</summary>
    public void Write(long sequence)
    {
        Compose(record, sequence, number);
        RandomAccess.Write(file, record, sequence % Slots * RecordBytes);
        Flush();
    }

    /// <summary>Makes the ring as new.</summary>
    public void Clear()
    {
        RandomAccess.Write(file, new byte[MinBytes], 0);
        Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    /// <summary>
    /// The last sequence number of a disk, 0 when nothing was ever written.
    /// </summary>
    /// <exception cref="InvalidDataException">Not what the demo guest can have written: a torn record, or one that is missing; the message says which.</exception>
    public static long ReadLast(string path, int number)
    {
        var ring = new byte[MinBytes];
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            var read = 0;
            while (read < ring.Length && RandomAccess.Read(file, ring.AsSpan(read), read) is var count and > 0)
            {
                read += count;
            }

            if (read < ring.Length)
            {
                throw new InvalidDataException($"disk {number} is shorter than its ring of records");
            }
        }

        var found = Enumerable.Range(0, Slots).Select(slot => Parse(ring.AsSpan(slot * RecordBytes, RecordBytes), slot, number)).ToList();
        var last = found.Max();
        for (var expected = Math.Max(1, last - Slots + 1); expected <= last; expected++)
        {
            if (found[(int)(expected % Slots)] != expected)
            {
                throw new InvalidDataException($"disk {number} has record {last} but not record {expected}");
            }
        }

        return last;
    }

    private static void Compose(Span<byte> record, long sequence, int number)
    {
        Magic.CopyTo(record);
        BinaryPrimitives.WriteInt64LittleEndian(record[8..], sequence);
        BinaryPrimitives.WriteInt32LittleEndian(record[16..], number);
        for (var at = FillerOffset; at < RecordBytes - HashBytes; at++)
        {
            record[at] = (byte)(sequence + 31 * at);
        }

        SHA256.HashData(record[..^HashBytes], record[^HashBytes..]);
    }

    private static long Parse(ReadOnlySpan<byte> record, int slot, int number)
    {
        if (record.IndexOfAnyExcept((byte)0) < 0)
        {
            return 0;
        }

        var sequence = BinaryPrimitives.ReadInt64LittleEndian(record[8..]);
        var disk = BinaryPrimitives.ReadInt32LittleEndian(record[16..]);
        Span<byte> whole = stackalloc byte[RecordBytes];
        Compose(whole, sequence, disk);
        if (!record.SequenceEqual(whole) || sequence <= 0 || sequence % Slots != slot)
        {
            throw new InvalidDataException($"disk {number} has a torn or foreign record in slot {slot}");
        }

        return disk == number ? sequence : throw new InvalidDataException($"disk {number} has records of disk {disk}: give the disks in the order in which the guest has them");
    }

    private void Flush()
    {
        while (fdatasync(file) != 0)
        {
            const int interrupted = 4;
            if (Marshal.GetLastPInvokeError() is var errno and not interrupted)
            {
                throw new IOException($"fdatasync {path}: {Marshal.GetPInvokeErrorMessage(errno)}");
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fdatasync(SafeFileHandle file);
}
